"""The vectors of embeddings, for TensorBoard's projector: which words lie near each other."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kerasish.layers import Embedding
from kerasish.progress import notice
from kerasish.registry import nearest
from kerasish.saving.errors import FilePath, check_path
from kerasish.training import on_host
from kerasish.types import Logs

from .files import wrote
from .page import Page

_WHO = "TensorBoard(embeddings_metadata)"
_ROWS_A_PIECE = 1024


class Projector(Page):
    """The vectors of each Embedding as they are now, for the PROJECTOR dashboard.

    In `<log_dir>/train/embeddings`, `<path>.tsv` has a row of numbers for each vector, and the
    names that there are for them lie beside it as `<path>.names.tsv`; `projector_config.pbtxt`
    above them says what belongs together. Each file is whole or not there, and the next state takes
    its place: the last one is that of the end of training.

    Raises: ValueError, as training begins, for a layer that is no Embedding of the model, with the
        nearest ones, and for names that are not as many as the vectors; FileNotFoundError for a
        file that is not there.

    Args:
        every: the epochs between two states: 0, n, 2n, ...
        names: a file with a name for each vector, a line each (of several columns with tabs between
            them the first line is a heading); or layer → such a file; or None.
    """

    def __init__(self, every: int, names: Any = None) -> None:
        self.every, self.names = every, check_names(names)
        self._layers: dict[str, Embedding] = {}
        self._written: int | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._layers, self._written, self._before = {}, None, self.model.epochs_trained
        if self.is_told_again:
            return
        found = {path or "embedding": layer for path, layer in self.model.module.named_modules()
                 if isinstance(layer, Embedding)}
        self._lines, self._layers = _names_of(self.names, found), found
        if not found:
            notice("TensorBoard(embeddings_freq) has nothing to show: the model has no Embedding.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.epochs % self.every == 0:
            self._write()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._written != self.epochs and self.model.epochs_trained > self._before:
            self._write()

    def close(self) -> None:
        self._layers = {}

    def _write(self) -> None:
        self._written = self.epochs
        if not self._layers:
            return
        folder = self.runs.folder / "train"
        files = {f"{_place(path)}.names.tsv": iter([text]) for path, text in self._lines.items()}
        files |= {f"{_place(path)}.tsv": _rows(layer.weight.data)
                  for path, layer in self._layers.items()}
        files["projector_config.pbtxt"] = iter([self._config().encode()])  # when the others are
        for name, chunks in files.items():
            if not wrote("embeddings_freq", folder / name, chunks):
                self._layers = {}
                return

    def _config(self) -> str:
        """What lies where, in the text form of tensorboard's ProjectorConfig."""
        blocks = []
        for path, layer in self._layers.items():
            facts = {"tensor_name": f"{path}.weight", "tensor_path": f"{_place(path)}.tsv"}
            if path in self._lines:
                facts["metadata_path"] = f"{_place(path)}.names.tsv"
            lines = [f"  {name}: {json.dumps(value)}" for name, value in facts.items()]
            lines += [f"  tensor_shape: {size}" for size in layer.weight.data.shape]
            blocks.append("\n".join(["embeddings {", *lines, "}"]))
        return "\n".join([*blocks, ""])


def check_names(names: Any) -> FilePath | dict[str, FilePath] | None:
    """Hands back where names of vectors are, if it can be meant.

    Raises: TypeError for anything else.
    """
    if names is None:
        return None
    if not isinstance(names, Mapping):
        return check_path(_WHO, names, "words.tsv")
    for layer, path in names.items():
        if not isinstance(layer, str):
            raise TypeError(f"{_WHO} expects paths of layers as keys; got {layer!r}. Write '0', "
                            "for instance, as summary() shows them.")
        check_path(f"{_WHO}, for {layer!r},", path, "words.tsv")
    return dict(names)


def _names_of(names: Any, layers: Mapping[str, Embedding]) -> dict[str, bytes]:
    """The content of the files of names, by the path of the layer."""
    if names is None:
        return {}
    if not isinstance(names, dict):
        names = dict.fromkeys(layers, names)
    for path in names:
        if path not in layers:
            known = nearest(path, layers) if layers else "The model has none: leave it out."
            raise ValueError(f"{_WHO} expects paths of Embedding layers; got {path!r}. {known}")
    return {path: _checked(path, layers[path], file) for path, file in names.items()}


def _checked(path: str, layer: Embedding, file: FilePath) -> bytes:
    text = Path(file).read_bytes()
    lines = text.splitlines()
    has_heading = bool(lines) and b"\t" in lines[0]
    if len(lines) - has_heading != layer.num_embeddings:
        raise ValueError(f"{_WHO} expects {layer.num_embeddings} names for the vectors of "
                         f"{layer!r} at {path!r}; got {len(lines) - has_heading} in "
                         f"{os.fspath(file)!r}. Write one a line"
                         f"{', below the heading' if has_heading else ''}.")
    return text


def _place(path: str) -> str:
    return f"embeddings/{path}"


def _rows(weight: Tensor) -> Iterator[bytes]:
    """A line for each vector; nine digits tell any two numbers apart."""
    for piece in torch.split(weight, _ROWS_A_PIECE):
        rows = ("\t".join(f"{value:.9g}" for value in row) for row in on_host(piece).tolist())
        yield "".join(f"{row}\n" for row in rows).encode()
