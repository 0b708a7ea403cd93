"""kerasish computing in bfloat16, where matrix products are most of the work."""

import torch

from tests.benchmarks.contestants import Training, Unfit, kerasish_fit
from tests.benchmarks.workloads import Workload


def prepare(workload: Workload) -> Training:
    if not workload.name.startswith("MLP"):
        raise Unfit("measured where matrix products are most of the work")
    if not torch.cpu._is_avx512_bf16_supported():
        raise Unfit("this processor does not multiply bfloat16")
    return kerasish_fit.prepare(workload, precision="bfloat16")
