"""The HPARAMS dashboard: what was chosen for a run, and what came of it."""

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasish.types import Logs

from .page import Page, numbers

Value = bool | int | float | str
"""What the dashboard can show in a column."""
_RUN = "hparams"
"""A run of its own: the dashboard has a column for each scalar of the run that it finds here."""


class HParams(Page):
    """Settings and final values of a run, for a table of all runs below one folder.

    Into the run `hparams` go the settings as training begins and, as it ends, `final/<name>` for
    each number that the last epoch logged, and how it ended: with success; or with failure, where
    an error, Ctrl-C or a loss that is not finite ended it. A run that was killed has no end there.
    A folder is one row of the table: of several fits in it, the values are those of the last and
    the settings those of the first.

    Args:
        hparams: name → value; or True for the optimizer, the learning rate at the start, the batch
            size and the loss.
    """

    def __init__(self, hparams: Mapping[str, Value] | bool) -> None:
        self.hparams = check_hparams(hparams)
        self._is_open = False
        self._logs: Logs = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._is_open, self._logs = False, {}

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if not (self._is_open or self.is_told_again):
            self._begin()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._logs = dict(logs or {})

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._is_open:
            self._end(self.model.interrupted or self.model.diverged)

    def state_dict(self) -> dict[str, Any]:
        return {"is_open": self._is_open, "logs": numbers(self._logs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._is_open, self._logs = state.get("is_open", False), dict(state.get("logs", {}))

    def close(self) -> None:
        if self._is_open:
            self._end(failed=True)

    def _begin(self) -> None:
        from tensorboard.plugins.hparams.plugin_data_pb2 import (
            HParamsPluginData,
            SessionStartInfo,
        )

        self._is_open = True
        begun = SessionStartInfo(start_time_secs=time.time())
        for name, value in (self.hparams or self._known()).items():
            kind = ("bool" if isinstance(value, bool) else
                    "string" if isinstance(value, str) else "number")
            setattr(begun.hparams[name], f"{kind}_value", value)
        self._write("session_start_info", HParamsPluginData(session_start_info=begun))

    def _end(self, failed: bool) -> None:
        from tensorboard.plugins.hparams import api_pb2
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        self._is_open = False
        for name, value in numbers(self._logs).items():
            self.runs.add_scalar(_RUN, f"final/{name}", value, self.epochs)
        status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
        ended = SessionEndInfo(status=status, end_time_secs=time.time())
        self._write("session_end_info", HParamsPluginData(session_end_info=ended))

    def _write(self, tag: str, content: Any) -> None:
        """Writes what the dashboard reads from a tag of its own; there is no value beside it."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboard.compat.proto.types_pb2 import DT_FLOAT

        plugin = SummaryMetadata.PluginData(plugin_name="hparams",
                                            content=content.SerializeToString())
        nothing = TensorProto(dtype=DT_FLOAT,
                              tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=0)]))
        value = Summary.Value(tag=f"_hparams_/{tag}", tensor=nothing,
                              metadata=SummaryMetadata(plugin_data=plugin))
        self.write(_RUN, Summary(value=[value]), int(self.model.epochs_trained))

    def _known(self) -> dict[str, Value]:
        """What runs are compared by as a rule; the batch size where fit was told one."""
        model = self.model
        size = model.run.plan.source.batch_size if model.run else None
        return {"optimizer": type(model.optimizer).__name__,
                "learning_rate": float(model.optimizer.learning_rate),
                **({} if size is None else {"batch_size": size}),
                "loss": type(model.loss).__name__}


def check_hparams(hparams: Any) -> dict[str, Value]:
    """Hands settings back as plain values by name; True is an empty dict, what is known then.

    Raises: TypeError or ValueError naming the setting.
    """
    who = "TensorBoard(hparams)"
    if hparams is True:
        return {}
    if not isinstance(hparams, Mapping):
        raise TypeError(f"{who} expects a dict of settings, True or None; got {hparams!r}. Write "
                        "{'learning_rate': 0.1}, for instance.")
    if not hparams:
        raise ValueError(f"{who} expects settings in the dict; got none. True writes the "
                         "optimizer, the learning rate, the batch size and the loss.")
    for name in hparams:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{who} expects names as keys; got {name!r}. Write a word.")
        _require_unicode(who, name)
    return {name: _plain(f"{who}, for {name!r},", value) for name, value in hparams.items()}


def _plain(who: str, value: Any) -> Value:
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, bool | int | float | str):
        raise TypeError(f"{who} expects a bool, a number or a text; got {value!r}. Write "
                        "str(value), for instance.")
    if isinstance(value, str):
        _require_unicode(who, value)
    elif not _is_finite(value):
        raise ValueError(f"{who} expects a finite number; got {_brief(value)}. Write it as a "
                         "text.")
    return value


def _is_finite(value: bool | int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _brief(value: int | float) -> str:
    return repr(value) if isinstance(value, float) else f"an int of {value.bit_length():,} bits"


def _require_unicode(who: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{who} expects a text that can be written as UTF-8; got {text!r}. Leave "
                         "half surrogates out.") from error
