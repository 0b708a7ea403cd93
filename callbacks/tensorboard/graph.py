"""The net itself as a page of TensorBoard."""

import hashlib
from typing import Any

from kerasish.insight.structure import Structure
from kerasish.types import Logs

from .graph_def import backward_graph, forward_graph
from .page import Page

_RUNS = ("train", "graph_backward")


class GraphPage(Page):
    """The net as a graph of its modules: forward in the run `train`, backward in `graph_backward`.

    It is written when an epoch begins: once, however many fits one instance sees and however often
    they are resumed, and again only if the net or the loss is another one by then, or a run was
    removed. TensorBoard shows the newest.
    """

    def __init__(self) -> None:
        self._written = ""
        self._looks = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._looks = True
        if not all(map(self.runs.holds, _RUNS)):
            self._written = ""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        module = getattr(self.model, "module", None) if self._looks else None
        self._looks = False
        if module is None:  # a history that is replayed has no net
            return
        net = Structure(module)
        graphs = [forward_graph(net).SerializeToString(deterministic=True),
                  backward_graph(net, self.model.loss).SerializeToString(deterministic=True)]
        written = hashlib.sha256(b"".join(graphs)).hexdigest()
        if written != self._written:
            for run, graph in zip(_RUNS, graphs, strict=True):
                self.runs.add_graph(run, graph)
            self._written = written

    def state_dict(self) -> dict[str, Any]:
        return {"written": self._written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._written = state["written"]
