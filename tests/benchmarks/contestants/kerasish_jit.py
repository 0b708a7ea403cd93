"""kerasish with its steps compiled, several of them in one execution where they are short."""

from tests.benchmarks.contestants import Training, kerasish_fit
from tests.benchmarks.workloads import Workload


def prepare(workload: Workload) -> Training:
    return kerasish_fit.prepare(workload, jit_compile=True,
                                steps_per_execution=workload.steps_per_execution)
