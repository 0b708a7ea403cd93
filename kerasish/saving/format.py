"""The one format of models, weights and checkpoints: safetensors, with settings and a digest.

Such a file holds data only: tensors by name, and settings as JSON text. Reading it imports nothing,
opens nothing else, and hands out nothing before all of it has been checked.
"""

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kerasish.registry import nearest
from kerasish.saving.errors import FilePath, ModelFileError, check_path, naming, special
from kerasish.saving.header import (
    DTYPES,
    HEADER_LIMIT,
    NAMES,
    RESERVED,
    SAVE_AGAIN,
    Header,
    Row,
    lay_out,
    parse,
)
from kerasish.saving.strict import from_text, is_text, to_text
from kerasish.saving.writing import write_whole

KINDS = {
    "model": "Model.load(path) loads it.",
    "weights": "model.load_weights(path) loads it.",
    "checkpoint": "BackupAndRestore(path) goes on from it.",
    "step": "model.replay(path) shows it again.",
}
PIECE = 2**20
_FROM_TORCH = ("Load a torch module with torch, and take it over: "
               "Model(kerasish.export.from_torch(module)).")
FOREIGN = {
    b"PK\3\4": ("a zip, as torch.save writes it, and Keras as .keras",
                f"{_FROM_TORCH} For one of Keras, build the same net here and set its weights."),
    b"\x80": ("a pickle, as older versions of torch.save write it", _FROM_TORCH),
    b"\x89HDF": ("an HDF5 file, as Keras writes it",
                 "Build the same net here, and set its weights: model.set_weights(arrays)."),
}
"""How other libraries' files begin, what they are, and what to do with them."""


# ---- writing ------------------------------------------------------------------------------------


def write_file(
    path: FilePath, kind: str, configuration: Mapping[str, Any], tensors: Mapping[str, Tensor],
    previous: FilePath | None = None,
) -> None:
    """Writes settings and tensors; the file is whole or not there (see `write_whole`).

    The same content gives the same bytes. What `read_file` would refuse is not written.

    Raises: ValueError for an unknown kind, settings that are not finite, and names that UTF-8
        cannot hold; TypeError for settings that are not plain and tensors without a dense value;
        RuntimeError if a tensor changes meanwhile; OSError as `write_whole`.

    Args:
        path: the file.
        kind: "model", "weights", "checkpoint" or "step".
        configuration: plain values, with strings as keys; tuples come back as lists.
        tensors: name → tensor, on any device.
        previous: where the old file goes, in the same folder, once the new one is whole.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/net.safetensors"
        ...     write_file(path, "weights", {"epochs": 3}, {"bias": torch.tensor([0.5, 1.0])})
        ...     stored = read_file(path, ("weights",))
        >>> stored.configuration, stored.tensors()
        ({'epochs': 3}, {'bias': tensor([0.5000, 1.0000])})
    """
    name = check_path("write_file(path)", path)
    if kind not in KINDS:
        raise ValueError(f"write_file(kind) expects a known kind; got {kind!r}. "
                         f"{nearest(str(kind), KINDS)}")
    for argument, value in (("configuration", configuration), ("tensors", tensors)):
        if not isinstance(value, Mapping):
            raise TypeError(f"write_file({argument}) expects a dict; got {value!r}. Give each part "
                            "a name.")
    header = _header(name, kind, configuration, tensors)
    write_whole(path, _chunks(name, header, tensors), previous)


def _header(
    path: str, kind: str, configuration: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> Header:
    """The header for this content, with its digest; read once, so that it can be read again."""
    try:
        text = to_text(dict(configuration))
        rows = lay_out((_name(name), tensor.dtype, tuple(tensor.shape))
                       for name, tensor in tensors.items() if _is_plain(name, tensor))
        header = Header(kind, text, rows)
        digest = header.digest()
        for row in rows:
            digest.update(_data(tensors[row.name]))
        header = Header(kind, text, rows, digest.hexdigest())
        parse(path, header.to_bytes()[8:])
    except ModelFileError as error:
        raise ValueError(f"write_file({path!r}): {error.entry} {error.reason}. Save less, or under "
                         "other names.") from None
    except (TypeError, ValueError) as error:
        raise type(error)(f"write_file({path!r}): {error}") from None
    return header


def _name(name: Any) -> str:
    if not isinstance(name, str) or name == RESERVED or not is_text(name):
        raise ValueError(f"tensors expects names that are texts which UTF-8 can hold, and not "
                         f"{RESERVED!r}; got {name!r}. Choose another one.")
    return str(name)


def _is_plain(name: str, tensor: Any) -> bool:
    """Whether it is a tensor that a file can hold, and an error if not."""
    if (not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta
            or tensor.dtype not in NAMES):
        shown = tensor if not isinstance(tensor, Tensor) else (
            f"{tensor.dtype}, {tensor.layout}, on {tensor.device}")
        raise TypeError(f"tensors[{name!r}] expects a dense tensor with a value, of one of the "
                        f"dtypes {', '.join(DTYPES)}; got {shown}. Convert it first.")
    return True


def _data(tensor: Tensor) -> memoryview:
    """The bytes of a tensor in logical order; those of one that lies so on the CPU are its own."""
    dense = tensor.cpu().resolve_conj().resolve_neg().contiguous()
    line = dense.as_strided((dense.numel(),), (1,))  # strides of 1 element may be any
    return line.view(torch.uint8).numpy().data


def _chunks(path: str, header: Header, tensors: Mapping[str, Tensor]) -> Iterator[Any]:
    """The file piece by piece, and an error at the end if it would not be read again."""
    yield header.to_bytes()
    digest = header.digest()
    for row in header.rows:
        data = _data(tensors[row.name])
        digest.update(data)
        yield data
    if digest.hexdigest() != header.sha256:
        raise RuntimeError(f"write_file({path!r}) expects tensors that stay as they are while they "
                           "are written; got some that changed. Save between two steps.")


# ---- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """The content of a file, all of it checked; the file is closed again.

    Attributes: `path`; `kind`; `configuration`, the settings; `size`, the bytes of the file.
    """

    path: str
    kind: str
    configuration: dict[str, Any]
    size: int
    _tensors: dict[str, Tensor]

    @property
    def shapes(self) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
        """What the tensors are, by name."""
        return {name: (each.dtype, tuple(each.shape)) for name, each in self._tensors.items()}

    def tensors(self, names: Iterable[str] | None = None) -> dict[str, Tensor]:
        """The tensors of these names, or all, on the CPU; the same ones at each call.

        Raises: ModelFileError for a name that the file does not have.
        """
        wanted = self._tensors if names is None else names
        try:
            return {name: self._tensors[name] for name in wanted}
        except KeyError as error:
            raise ModelFileError(self.path, f"tensor {error.args[0]!r}", "is missing",
                                 nearest(str(error.args[0]), self._tensors)) from None


def read_file(path: FilePath, kinds: tuple[str, ...]) -> Stored:
    """Reads a file of one of these kinds, all of it or nothing.

    What it says of sizes and places is checked before memory is taken for it, its digest before
    anything is handed out. A digest finds damage; it does not say who wrote the file.

    Raises: ModelFileError for a damaged file, another kind, or a file that kerasish did not write;
        FileNotFoundError and other OSErrors if it cannot be read.

    Args:
        path: the file.
        kinds: those that the caller can use, of "model", "weights", "checkpoint" and "step".
    """
    name = check_path("read_file(path)", path)
    with naming(name, "it cannot be read. Check the name, relative to the folder the program runs "
                "in, and the permissions"), _opened(name) as file:
        return _read(name, file, kinds)


def _opened(path: str) -> io.FileIO:
    """The file, unless it is something that would wait, or act, when it is opened."""
    if kind := special(os.stat(path).st_mode):
        raise ModelFileError(path, "it", f"expects a file; got {kind}", "Name the file itself.")
    return io.FileIO(path)


def _read(path: str, file: io.FileIO, kinds: tuple[str, ...]) -> Stored:
    status = os.fstat(file.fileno())
    length = _header_length(path, file, status.st_size)
    header = parse(path, file.read(length))  # if it got shorter meanwhile, that is no header
    if header.data_size != status.st_size - 8 - length:
        raise ModelFileError(path, "the data", f"expects {header.data_size:,} bytes; got "
                             f"{status.st_size - 8 - length:,}", SAVE_AGAIN)
    if header.kind not in kinds:
        raise ModelFileError(path, "the kind", f"expects {' or '.join(map(repr, kinds))}; got "
                             f"{header.kind[:40]!r}", KINDS.get(header.kind, SAVE_AGAIN))
    _check_digest(path, file, header)
    configuration = _configuration(path, header.configuration)
    file.seek(8 + length)
    with torch.inference_mode(False):  # they outlive every step
        tensors = {row.name: _tensor(path, file, row) for row in header.rows}
    after = os.fstat(file.fileno())
    if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
        raise ModelFileError(path, "the file", "changed while it was read", "Load it again.")
    return Stored(path, header.kind, configuration, status.st_size, tensors)


def _header_length(path: str, file: io.FileIO, size: int) -> int:
    begin = bytes(_exactly(path, file, bytearray(8)))
    length = int.from_bytes(begin, "little")
    for sign, (kind, fix) in FOREIGN.items():
        if begin.startswith(sign) and length > size - 8:
            raise ModelFileError(path, "it", f"expects a file of kerasish; got {kind}", fix)
    if size < 8:
        raise ModelFileError(path, "it", f"expects at least 8 bytes; got {size}", SAVE_AGAIN)
    if length > min(HEADER_LIMIT, size - 8):
        raise ModelFileError(path, "the header", f"expects a length of at most "
                             f"{min(HEADER_LIMIT, size - 8):,} bytes; got {length:,}", SAVE_AGAIN)
    return length


def _check_digest(path: str, file: io.FileIO, header: Header) -> None:
    """Compares the digest with one of the rest of the file, in constant memory."""
    digest, piece = header.digest(), memoryview(bytearray(PIECE))
    left = header.data_size
    while left:
        part = _exactly(path, file, piece[:min(left, PIECE)])
        digest.update(part)
        left -= len(part)
    if digest.hexdigest() != header.sha256:
        raise ModelFileError(path, "the content", "expects to match its SHA-256; got another one",
                             SAVE_AGAIN)


def _configuration(path: str, text: str) -> dict[str, Any]:
    try:
        value = from_text(text)
    except ValueError as error:
        raise ModelFileError(path, "the configuration", str(error), SAVE_AGAIN) from None
    if not isinstance(value, dict):
        raise ModelFileError(path, "the configuration", f"expects an object; got {text[:40]}",
                             SAVE_AGAIN)
    return value


def _tensor(path: str, file: io.FileIO, row: Row) -> Tensor:
    tensor = torch.empty(row.shape, dtype=DTYPES[row.dtype], device="cpu")
    if row.end == row.begin:
        return tensor
    data = tensor.reshape(-1).view(torch.uint8)
    _exactly(path, file, data.numpy().data)
    if row.dtype == "BOOL" and data.max() > 1:
        raise ModelFileError(path, f"tensor {row.name!r}", "expects bytes of 0 and 1; got "
                             f"{data.max()}", SAVE_AGAIN)
    return tensor


def _exactly(path: str, file: io.FileIO, room: Any) -> Any:
    """Fills the room with what comes next in the file."""
    rest = memoryview(room)
    while rest:
        count = file.readinto(rest)
        if not count:
            raise ModelFileError(path, "the file", f"ends {len(rest):,} bytes too early",
                                 SAVE_AGAIN)
        rest = rest[count:]
    return room
