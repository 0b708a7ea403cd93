"""The steps that are judged together: what was seen of some of them, kept on the device."""

from typing import Any

import torch
from torch import Tensor

from kerasish.module import Module
from kerasish.parameter import Parameter

from .extremes import Extremes
from .norms import Norms
from .numbers import Numbers, read


class Window:
    """Looks at single steps of a net, and adds up what it sees until it is read.

    Args:
        module: the net, built.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.extremes, self.norms = Extremes(module), Norms(module)
        self.rows: list[Tensor] = []
        """A vector of norms for each step that was looked at."""
        self.samples = 0
        """Samples in these steps."""
        self.looks = False
        """Whether it looks at a step now."""

    def begin(self) -> None:
        """To be called before a step."""
        if self.norms.revision != Parameter.revisions:
            self._follow()
        self.norms.before()
        self.extremes.start()
        self.looks = True

    def backward_ends(self, rows: int) -> None:
        """To be called when gradients are complete: the sum over so many rows, or the mean of 1."""
        self.norms.gradients(rows)
        if not any(part._saved for part in self.module.modules()):
            self.extremes.stop()  # so that others who look at the net find it as it is

    def end(self, samples: int, updates: int) -> None:
        """To be called after a step of so many samples, with the number of updates made in it."""
        self.stop()
        self.samples += samples
        row = self.norms.after(updates)
        if row is not None:
            self.rows.append(row)

    def stop(self) -> None:
        """Looks no more; harmless if it does not."""
        self.extremes.stop()
        self.looks = False

    def read(self, anew: bool) -> list[Numbers]:
        """Reads what was seen, and begins anew; with what units put out only if that is wanted."""
        numbers = read(self.module, self.extremes, self.norms, self.rows)
        self.rows = []
        if anew:
            self.forget()
        return numbers

    def forget(self) -> None:
        """Begins anew."""
        self.extremes.forget()
        self.rows, self.samples = [], 0

    def state_dict(self) -> dict[str, Any]:
        """Copies of all that was seen."""
        with torch.inference_mode(False):
            return {"samples": self.samples, "seen": list(self.extremes.seen),
                    "rows": [row.clone() for row in self.rows],
                    "greatest": [[path, [each.clone() for each in calls]]
                                 for path, calls in self.extremes.greatest.items()]}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Goes on with what another one of the same net has seen."""
        self.samples = state["samples"]
        self.rows = [row.to(device) for row in state["rows"]]
        self.extremes.seen = dict.fromkeys(state["seen"])
        self.extremes.greatest = {path: [each.to(device) for each in calls]
                               for path, calls in state["greatest"]}

    def _follow(self) -> None:
        """Begins anew if other parameters are trained than before."""
        norms = Norms(self.module)
        if norms.parameters != self.norms.parameters:
            self.forget()
            self.norms = norms
        self.norms.revision = norms.revision
