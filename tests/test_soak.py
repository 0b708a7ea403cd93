"""Nothing is left behind: memory, threads and open files stay where they were after warm-up."""

import json
import os
import subprocess
import sys

import pytest

MIB = 2**20


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads Linux' /proc")
@pytest.mark.parametrize(("kind", "count"), [("predict", 5000), ("fit", 300)])
def test_predicts_and_fits_leave_nothing_behind(kind: str, count: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", kind, str(count)], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    more = json.loads(done.stdout.splitlines()[-1])
    assert more["bytes"] <= MIB
    assert more["threads"] <= 0 and more["files"] <= 0
