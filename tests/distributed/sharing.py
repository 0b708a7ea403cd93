"""One of two processes that each keep a share of the optimizer: `torchrun sharing.py FOLDER`."""

import io
import json
import os
import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import torch

from kerasish import Model
from kerasish.callbacks import EarlyStopping, ModelCheckpoint
from kerasish.distributed import Exchange
from kerasish.hooks import Callback
from kerasish.layers import Linear, Tanh


class Norms(Callback):
    """Writes down the norm of all gradients, between backward and update."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_backward_end(self, batch: int) -> None:
        squares = [p.grad.square().sum() for p in self.model.module.parameters()]
        self.found.append(float(sum(squares)))


def model_of(way: str | None) -> tuple[Model, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = Model(Linear(500), Tanh(), Linear(500), Tanh(), Linear(1), device="cpu",
                  distribute=way)
    model.compile("adam", "mse")
    x = torch.randn(50, 300, dtype=torch.float64)
    return model, x, x.sum(1, keepdim=True)


def trained(way: str | None, folder: Path) -> tuple[Model, list[float]]:
    model, x, y = model_of(way)
    norms = Norms()
    model.fit(x, y, batch_size=16, epochs=1, verbose=0, seed=0, callbacks=[norms])
    model.save(folder / f"{way or 'alone'}.safetensors")
    return model, norms.found


def sent_early() -> int:
    """How many parts of a step were sent before backward was over."""
    model, x, y = model_of("data")
    found = []
    add_up = Exchange.add_up

    def watched(self: Exchange) -> None:
        found.append(self._sent)
        add_up(self)

    Exchange.add_up = watched  # type: ignore[method-assign]
    try:
        model.fit(x, y, batch_size=16, epochs=1, verbose=0, seed=0)
    finally:
        Exchange.add_up = add_up  # type: ignore[method-assign]
    return min(found)


def failure(folder: Path) -> str:
    """What a file that the first process cannot write ends with: its folder is a file."""
    model, x, y = model_of("data")
    where = folder / os.environ["RANK"]
    if os.environ["RANK"] == "0":
        where.write_text("")
    try:
        model.fit(x, y, epochs=1, verbose=0, seed=0,
                  callbacks=ModelCheckpoint(where / "net.safetensors"))
    except OSError as error:
        return str(error)
    return "none"


def said() -> int:
    """How many words a callback has."""
    model, x, y = model_of("data")
    with redirect_stderr(io.StringIO()) as heard:
        model.fit(x, y, epochs=3, verbose=0, seed=0,
                  callbacks=EarlyStopping("loss", patience=0, min_delta=1e9, verbose=1))
    return len(heard.getvalue().splitlines())


def main(folder: Path, rank: int) -> None:
    """Trains alone and together, and writes down what was found."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    found: dict[str, Any] = {}
    alone = trained(None, folder)
    found["norms, alone"] = alone[1]
    for way in ("data", "zero"):
        model, found[f"norms, {way}"] = trained(way, folder)
    plan = model.communication_plan()
    found["optimizer"] = sum(slot.nbytes for slots in model.optimizer.state.values()
                             for slot in slots.values())
    found["planned"], found["optimizer alone"] = plan.optimizer, sum(
        slot.nbytes for slots in alone[0].optimizer.state.values() for slot in slots.values())
    found["files"] = sorted(path.name for path in folder.glob("*.safetensors"))
    model = model_of("data")[0]
    model.build((300,))
    found["parts"] = len(model.communication_plan().parts)
    found["sent early"] = sent_early()
    found["failure"], found["said"] = failure(folder), said()
    (folder / f"{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(os.environ["RANK"]))
