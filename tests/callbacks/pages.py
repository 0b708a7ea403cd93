"""Pages of TensorBoard on their own: how they are fitted, and what they have left in the files."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.callbacks.tensorboard.page import Page
from kerasish.callbacks.tensorboard.runs import Runs


class Files(Callback):
    """Does for the event files of pages what TensorBoard does."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    def state_dict(self) -> dict[str, Any]:
        return {"lengths": self.runs.lengths()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.runs.cut_back(state["lengths"])

    def close(self) -> None:
        self.runs.close()


def with_files(folder: Path, *pages: Page) -> list[Callback]:
    """Pages that write into a folder, as callbacks for fit."""
    runs = Runs(folder)
    for page in pages:
        page.runs = runs
    return [*pages, Files(runs)]


def events(run: Path) -> list[tuple[int, Any]]:
    """All that is in the event files of a run, in order: step and Summary.Value."""
    return [(event.step, value)
            for path in sorted(run.glob("events*"))
            for event in EventFileLoader(str(path)).Load() for value in event.summary.value]


def tags(run: Path) -> dict[str, list[int]]:
    """The steps of each tag of a run."""
    found: dict[str, list[int]] = {}
    for step, value in events(run):
        found.setdefault(value.tag, []).append(step)
    return {tag: sorted(steps) for tag, steps in found.items()}


def state_of(model: Model) -> dict[str, torch.Tensor]:
    """All that training decides: weights and buffers, slots, and the random state."""
    slots = model.optimizer.state_dict()
    slots = {f"slot {name}": each for name, each in slots.items() if torch.is_tensor(each)}
    return model.module.state_dict() | slots | {"random": torch.get_rng_state()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two such states are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def pictures(run: Path) -> dict[tuple[str, int], Any]:
    """The images of a run by tag and step, as arrays (H, W, 3) of bytes."""
    found = {(value.tag, step): imread(io.BytesIO(value.tensor.string_val[2]))
             for step, value in events(run)
             if value.metadata.plugin_data.plugin_name == "images"}
    return {place: (255 * shares).round().astype(np.uint8) for place, shares in found.items()}
