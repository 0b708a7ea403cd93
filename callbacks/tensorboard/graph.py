"""The net itself as a page of TensorBoard."""

import hashlib
from collections.abc import Iterable
from typing import Any

from kerasish.insight.structure import Structure
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.types import Logs

from .graph_def import backward_graph, forward_graph
from .page import Page

_RUNS = ("train", "graph_backward")


class GraphPage(Page):
    """The net as a graph of its modules: forward in the run `train`, backward in `graph_backward`.

    It is written when an epoch begins: once into a folder, however many fits it is of and however
    often they are resumed, and again only if the net or the loss is another one by then, or a run
    was removed. TensorBoard shows the newest.
    """

    def __init__(self) -> None:
        self._written = ""
        self._drawn: list[Any] = []
        self._looks = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._looks = True
        if not all(map(self.runs.holds, _RUNS)):
            self._written, self._drawn = "", []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        module = getattr(self.model, "module", None) if self._looks else None
        self._looks = False
        if module is not None:  # a history that is replayed has no net
            drawn = [*module.modules(), *map(repr, (*module.modules(), self.model.loss)),
                     Parameter.revisions]
            if drawn != self._drawn:
                self._draw(module)
            self._drawn = drawn

    def _draw(self, module: Module) -> None:
        net = Structure(module)
        graphs = [forward_graph(net).SerializeToString(deterministic=True),
                  backward_graph(net, self.model.loss).SerializeToString(deterministic=True)]
        if not self._written:
            self._written = _digest(map(self.runs.graph, _RUNS))
        written = _digest(graphs)
        if written != self._written:
            for run, graph in zip(_RUNS, graphs, strict=True):
                self.runs.add_graph(run, graph)
            self._written = written

    def state_dict(self) -> dict[str, Any]:
        return {"written": self._written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._written, self._drawn = state["written"], []


def _digest(graphs: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(graphs)).hexdigest()
