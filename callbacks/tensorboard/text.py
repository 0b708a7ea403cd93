"""What is trained, and how, in words: for whoever looks at the run later."""

import platform
from typing import Any

import numpy as np
import torch

from kerasish import __version__
from kerasish.insight.summary import summary
from kerasish.types import Logs

from .page import Page


class Text(Page):
    """The model's summary, how it is compiled and fitted, and the versions of what runs it.

    Three texts in the run `train`, as each fit begins: `summary`, as `model.summary()` prints it,
    `configuration` and `versions`. What is written is known before the first batch.
    """

    _is_written = True

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._is_written = self.is_told_again  # no model is left to describe

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._is_written:
            return
        self._is_written = True
        texts = {"summary": summary(self.model), "configuration": _table(self._configuration()),
                 "versions": _table(_versions())}
        for tag, text in texts.items():
            self.write("train", _summary(tag, f"```\n{text}\n```"), int(self.model.epochs_trained))

    def state_dict(self) -> dict[str, Any]:
        return {"is_written": self._is_written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._is_written = state.get("is_written", False)

    def _configuration(self) -> dict[str, Any]:
        """What `compile` and `fit` were given, as far as it says something."""
        run, params = self.model.run, self.params
        told = {
            **self.model.compile_arguments, "optimizer": self.model.optimizer,
            "epochs": params.get("epochs"), "steps": params.get("steps"),
            "samples": params.get("samples"),
            "batch_size": run.plan.source.batch_size if run else None,
            "validation_steps": params.get("validation_steps"), "seed": params.get("seed"),
            "device": str(self.model.device),
        }
        return {name: value for name, value in told.items() if value is not None}


def _versions() -> dict[str, Any]:
    """The versions of what may decide a bit of the results."""
    return {"kerasish": __version__, "torch": torch.__version__, "numpy": np.__version__,
            "python": platform.python_version(), "platform": platform.platform()}


def _table(rows: dict[str, Any]) -> str:
    """Names and values side by side, a line each."""
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {' '.join(_shown(value).split())}"
                     for name, value in rows.items())


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _summary(tag: str, text: str) -> Any:
    """A text as TensorBoard's Text dashboard reads it."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING

    plugin = SummaryMetadata.PluginData(plugin_name="text")
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=shape)
    return Summary(value=[Summary.Value(tag=tag, tensor=tensor,
                                        metadata=SummaryMetadata(plugin_data=plugin))])
