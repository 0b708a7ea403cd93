"""The first load in a process: it imports nothing that a load could do without."""

import json
import subprocess
import sys
from pathlib import Path

from kerasish import Model, layers, optimizers, schedules
from tests.table import MODULES

ROOT = Path(__file__).resolve().parent.parent.parent
COLD = """
import json, os, sys
import kerasish
from kerasish import Model
from kerasish import layers, losses, metrics, optimizers
before = set(sys.modules)
for path in sorted(os.listdir(sys.argv[1])):
    Model.load(os.path.join(sys.argv[1], path), device="cpu")
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_a_load_in_a_new_process_imports_next_to_nothing(tmp_path: Path) -> None:
    model = Model(layers.Linear(2), layers.BatchNorm1d(), layers.Linear(1), device="cpu")
    model.compile(optimizers.Adam(schedules.CosineDecay(0.1, 10)), "mse", metrics=["mae"])
    model.fit([[0.0], [1.0]], [[1.0], [0.0]], verbose=0, seed=0)
    model.save(tmp_path / "compiled")
    for number, row in enumerate(row for row in MODULES if "Lambda" not in row.id):
        Model(row.built(), device="cpu").save(tmp_path / str(number))
    ran = subprocess.run([sys.executable, "-c", COLD, str(tmp_path)], cwd=ROOT,
                         capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    new = [name for name in json.loads(ran.stdout) if not name.startswith("kerasish.")]
    assert new == ["torch.utils._device"]
