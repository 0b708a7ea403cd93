"""Files of models: exactly what was saved, or an error that says what is wrong; no third."""

import errno
import hashlib
import io
import json
import math
import os
import pickle
import random
import re
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from kerasish.saving import ModelFileError, Stored, header, read_file, write_file
from kerasish.saving.header import DTYPES, Header, Row

KINDS = ("model", "weights", "checkpoint")
AGAIN = "The file is damaged, or not written by kerasish: take a copy, or save it again."


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are equal to the bit."""
    bits = [tensor.resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
            .reshape(-1).view(torch.uint8) for tensor in (one, other)]
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*bits)


def values(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    """Any bits as a tensor; for bool those that it has."""
    most = 2 if dtype == torch.bool else 256
    data = torch.randint(0, most, (math.prod(shape) * dtype.itemsize,), dtype=torch.uint8)
    return data.view(dtype).reshape(shape)


def small() -> dict[str, torch.Tensor]:
    return {"0.weight": values(torch.float32, 2, 3), "count": torch.tensor(7)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.safetensors"


def refused(path: Path, match: str = "cannot be loaded",
            kinds: tuple[str, ...] = KINDS) -> ModelFileError:
    """The error that reading raises; it names the file."""
    with pytest.raises(ModelFileError, match=match) as caught:
        read_file(path, kinds)
    assert str(path) in str(caught.value) and caught.value.fix in str(caught.value)
    return caught.value


# ---- there and back -----------------------------------------------------------------------------

CONTENTS = {
    **{name: {"a": values(dtype, 3, 5), "b": values(dtype)} for name, dtype in DTYPES.items()},
    "nothing": {},
    "no elements": {"a": torch.empty(0), "b": torch.empty(0, 3, dtype=torch.int8),
                    "c": torch.empty(2, 0, 5, dtype=torch.bool)},
    "one number": {"a": torch.tensor(1.5), "b": torch.tensor(True)},
    "nan and infinities": {"a": torch.tensor([math.nan, -math.nan, math.inf, -math.inf, -0.0])},
    "not contiguous": {"a": torch.arange(12.0).reshape(3, 4).t(), "b": torch.arange(9)[::2],
                       "c": torch.ones(1).expand(4, 2), "d": torch.arange(9)[4:6:2],
                       "e": torch.from_numpy(np.zeros(0)), "f": torch.arange(9.0)[3:7]},
    "channels last": {"a": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)},
    "turned and conjugate": {"a": torch.randn(3, dtype=torch.complex64).conj(),
                             "b": torch.randn(3, dtype=torch.complex64).conj().imag,
                             "c": torch.randn(1, dtype=torch.complex64).conj().imag},
    "with gradient": {"a": torch.ones(2, requires_grad=True) * 2},
    "of all widths": {name: values(dtype, 3) for name, dtype in DTYPES.items()},
    "16 axes": {"a": torch.ones((1,) * 16)},
    "any names": {name: torch.tensor(float(i)) for i, name in enumerate(
        ["", " ", ".", "../../x", "a\0b", 'quote"d', "back\\slash", "new\nline", "\x7f", "é",
         "漢字", "😀", "__proto__", "dtype", "x" * 1000, "\\u0041", "{", "}"])},
}  # fmt: skip


@pytest.mark.parametrize("content", CONTENTS)
def test_tensors_come_back_to_the_bit(content: str, path: Path) -> None:
    tensors = CONTENTS[content]
    write_file(path, "model", {}, tensors)
    stored = read_file(path, ("model",))
    for found in (stored.tensors(), safetensors.torch.load_file(path)):
        assert found.keys() == tensors.keys()
        assert [name for name in tensors if not same(found[name], tensors[name].detach())] == []
    assert stored.shapes == {name: (tensor.dtype, tuple(tensor.shape))
                             for name, tensor in tensors.items()}
    assert (stored.kind, stored.size, stored.path) == ("model", path.stat().st_size, str(path))


CONFIGURATIONS = [
    {}, {"a": None, "b": [True, False], "c": {"d": {}}}, {"": [1, -2, 2**63, -(10**400)]},
    {"f": [0.1, -0.0, 1e308, 5e-324, 1.0, 1e22]}, {"order": 1, "is": 2, "kept": 3},
    {"é": "漢字 😀", "half": "\ud800 \udfff", "signs": "\0\x01\x1f\x7f\"\\/\b\n"},
    {"text": "x" * 1_000_000}, {"format": "pt", '"format":"pt"': '"format":"kerasish"'},
]  # fmt: skip


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda each: str(each)[:30])
def test_settings_come_back_exactly(configuration: dict[str, Any], path: Path) -> None:
    write_file(path, "checkpoint", configuration, small())
    found = read_file(path, KINDS).configuration
    assert repr(found) == repr(configuration)
    safetensors.torch.load_file(path)


def test_tuples_of_settings_come_back_as_lists(path: Path) -> None:
    write_file(path, "model", {"a": (1, (2, 3))}, {})
    assert read_file(path, KINDS).configuration == {"a": [1, [2, 3]]}


def test_metadata_is_what_any_tool_reads(path: Path) -> None:
    write_file(path, "weights", {"epochs": 3}, small())
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    digest = metadata.pop("sha256")
    assert metadata == {"format": "kerasish", "version": "1", "kind": "weights",
                        "configuration": '{"epochs":3}'}
    assert re.fullmatch("[0-9a-f]{64}", digest)


def test_the_digest_is_of_everything_in_order(path: Path) -> None:
    tensors = small()
    write_file(path, "weights", {"epochs": 3}, tensors)
    with safetensors.safe_open(path, "pt") as file:
        digest = file.metadata()["sha256"]
    whole = hashlib.sha256(b'["weights",1,"{\\"epochs\\":3}"]' b'["count","I64",[]]'
                           b'["0.weight","F32",[2,3]]')
    whole.update(tensors["count"].numpy().tobytes() + tensors["0.weight"].numpy().tobytes())
    assert digest == whole.hexdigest()


def test_the_same_content_gives_the_same_bytes(path: Path) -> None:
    tensors = CONTENTS["of all widths"]
    write_file(path, "model", {"a": 1}, tensors)
    first = path.read_bytes()
    write_file(path, "model", {"a": 1}, dict(reversed(tensors.items())))
    assert path.read_bytes() == first
    assert int.from_bytes(first[:8], "little") % 8 == 0  # the data are aligned


def test_tensors_are_chosen_by_name(path: Path) -> None:
    tensors = small()
    write_file(path, "model", {}, tensors)
    stored = read_file(path, KINDS)
    assert stored.tensors(["count"]).keys() == {"count"} and stored.tensors([]) == {}
    with pytest.raises(ModelFileError, match=r"tensor 'coumt' is missing\. Did you mean 'count'\?"):
        stored.tensors(["coumt"])


def test_tensors_are_ordinary_and_lie_each_for_itself(path: Path) -> None:
    write_file(path, "model", {}, small())
    with torch.inference_mode():
        one, other = read_file(path, KINDS).tensors().values()
    assert not one.is_inference() and one.device.type == "cpu" and one.is_contiguous()
    assert one.untyped_storage().data_ptr() != other.untyped_storage().data_ptr()
    one.zero_()  # the file does not change with it
    assert same(read_file(path, KINDS).tensors()["count"], torch.tensor(7))


# ---- what is not written ------------------------------------------------------------------------

circle: list[Any] = []
circle.append(circle)

NOT_WRITTEN = {
    "another kind": (("modell", {}, {}), ValueError, "known kind; got 'modell'. Did you mean 'mod"),
    "no kind": ((None, {}, {}), ValueError, "write_file.kind. expects a known kind; got None"),
    "settings in a list": (("model", [1], {}), TypeError, r"configuration\) expects a dict"),
    "tensors in a list": (("model", {}, [1]), TypeError, r"tensors\) expects a dict; got .1"),
    "nan": (("model", {"a": math.nan}, {}), ValueError, "not JSON compliant"),
    "infinity": (("model", {"a": [math.inf]}, {}), ValueError, "not JSON compliant"),
    "a number as a key": (("model", {"a": {1: 2}}, {}), TypeError, "strings as keys; got 1. Write"),
    "an object": (("model", {"a": object()}, {}), TypeError, "object is not JSON serializable"),
    "a circle": (("model", {"a": circle}, {}), ValueError, "at most 64 levels; got more"),
    "too much text": (("model", {"a": "x" * 8_000_000}, {}), ValueError, "8,000,000 characters"),
    "too many quotes": (
        ("model", {"a": '"' * 2_100_000}, {}), ValueError, "metadata expects at most 8,001,000"),
    "too many values": (("model", {"a": [0] * 250_000}, {}), ValueError, "at most 250,000 values"),
    "a number as a name": (("model", {}, {1: torch.ones(1)}), ValueError, "texts which .*; got 1"),
    "half a sign": (("model", {}, {"\ud800": torch.ones(1)}), ValueError, r"got '\\ud800'. Choose"),
    "the name of the metadata": (
        ("model", {}, {"__metadata__": torch.ones(1)}), ValueError, "and not '__metadata__'; got"),
    "a long name": (("model", {}, {"x" * 2000: torch.ones(1)}), ValueError, "at most 2,000 bytes"),
    "no tensor": (("model", {}, {"a": [1.0]}), TypeError, r"tensors\['a'\] expects a dense"),
    "no values": (("model", {}, {"a": torch.ones(1, device="meta")}), TypeError, "on meta"),
    "sparse": (("model", {}, {"a": torch.eye(2).to_sparse()}), TypeError, "torch.sparse_coo"),
    "another dtype": (
        ("model", {}, {"a": torch.ones(1).cdouble()}), TypeError, "got torch.complex128"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_WRITTEN)
def test_what_cannot_be_read_again_is_not_written(case: str, path: Path) -> None:
    arguments, wrong, match = NOT_WRITTEN[case]
    with pytest.raises(wrong, match=match) as caught:
        write_file(path, *arguments)
    assert not isinstance(caught.value, ModelFileError) and list(path.parent.iterdir()) == []


def test_the_number_of_tensors_is_bounded(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(header, "TENSORS_LIMIT", 100)
    tensors = dict.fromkeys(map(str, range(100)), torch.empty(0))
    write_file(path, "model", {}, tensors)
    assert len(read_file(path, KINDS).tensors()) == 100
    with pytest.raises(ValueError, match="the table expects at most 100 tensors; got more"):
        write_file(path, "model", {}, tensors | {"another": torch.empty(0)})


def test_a_tensor_that_changes_while_it_is_written_is_told(path: Path, monkeypatch) -> None:
    tensors, fsync, write = small(), os.fsync, os.write
    write_file(path, "model", {}, tensors)
    before = path.read_bytes()

    def train(file: int, data: Any) -> int:
        tensors["0.weight"].add_(1)
        return write(file, data)

    monkeypatch.setattr(os, "write", train)
    with pytest.raises(RuntimeError, match=r"stay as they are while .* Save between two steps"):
        write_file(path, "model", {}, tensors)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
    assert os.fsync is fsync


def test_a_failed_save_keeps_the_file(path: Path, monkeypatch) -> None:
    write_file(path, "model", {}, small())
    before = path.read_bytes()

    def fail(file: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="full") as caught:
        write_file(path, "model", {"a": 1}, small())
    assert caught.value.filename == str(path) and path.read_bytes() == before


# ---- damage -------------------------------------------------------------------------------------


def outcome(path: Path, data: bytes, expected: Stored) -> str:
    """What reading damaged data comes to: "error" or "equal"; anything else fails."""
    path.write_bytes(data)
    try:
        found = read_file(path, KINDS)
    except ModelFileError:
        return "error"
    assert (found.kind, found.configuration) == (expected.kind, expected.configuration)
    tensors = expected.tensors()
    assert found.tensors().keys() == tensors.keys()
    assert all(same(found.tensors()[name], tensor) for name, tensor in tensors.items())
    return "equal"


def test_no_flipped_bit_goes_unnoticed(path: Path) -> None:
    write_file(path, "model", {"units": [3, "é\n"]}, small() | {"ok": torch.tensor([True, False])})
    data, expected = path.read_bytes(), read_file(path, KINDS)
    outcomes = []
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            outcomes.append(outcome(path, flipped, expected))
    assert outcomes.count("error") == len(outcomes)


def test_no_byte_of_another_value_goes_unnoticed(path: Path) -> None:
    write_file(path, "model", {"a": 1}, {"w": torch.ones(1)})
    data, expected = path.read_bytes(), read_file(path, KINDS)
    for place in range(len(data)):
        for value in b'\x00\xff 09"\\{}[],:ae':
            outcome(path, data[:place] + bytes([value]) + data[place + 1:], expected)
            outcome(path, data[:place] + bytes([value]) + data[place:], expected)
        outcome(path, data[:place] + data[place + 1:], expected)


def test_no_missing_end_goes_unnoticed(path: Path) -> None:
    write_file(path, "model", {"a": 1}, small())
    data, expected = path.read_bytes(), read_file(path, KINDS)
    outcomes = {outcome(path, data[:length], expected) for length in range(len(data))}
    assert outcomes == {"error"}


@pytest.mark.parametrize("junk", [b"\0", b" ", b"x" * 1000, b"PK\x05\x06" + b"\0" * 18])
def test_nothing_may_follow(junk: bytes, path: Path) -> None:
    write_file(path, "model", {"a": 1}, small())
    path.write_bytes(path.read_bytes() + junk)
    refused(path, f"the data expects 32 bytes; got {32 + len(junk):,}")


def test_two_files_cannot_be_mixed(path: Path) -> None:
    write_file(path, "model", {"a": 1}, small())
    one = path.read_bytes()
    write_file(path, "model", {"a": 1}, small())
    other = path.read_bytes()
    assert len(one) == len(other) and one != other
    path.write_bytes(one[:-32] + other[-32:])
    error = refused(path, "the content expects to match its SHA-256; got another one")
    assert error.fix == AGAIN


def test_bytes_at_random_are_refused(path: Path) -> None:
    dice = random.Random(0)
    for length in range(300):
        path.write_bytes(dice.randbytes(length))
        refused(path)


# ---- hostile headers ----------------------------------------------------------------------------


def framed(text: bytes) -> bytes:
    """A header with its length before it."""
    return len(text).to_bytes(8, "little") + text


def craft(path: Path, text: bytes, data: bytes = b"") -> Path:
    path.write_bytes(framed(text) + data)
    return path


def honest(configuration: str = "{}", rows: tuple[Row, ...] = (), data: bytes = b"") -> bytes:
    """A file whose digest is right, whatever it holds."""
    digest = Header("model", configuration, rows).digest()
    digest.update(data)
    return Header("model", configuration, rows, digest.hexdigest()).to_bytes() + data


def metadata(**changes: str | None) -> bytes:
    """The metadata of a file, with changes; None takes a key out."""
    texts = {"configuration": "{}", "format": "kerasish", "kind": "model", "sha256": "0" * 64,
             "version": "1", **changes}  # fmt: skip
    return json.dumps({name: text for name, text in texts.items() if text is not None},
                      separators=(",", ":")).encode()


def table(*rows: str) -> bytes:
    return b'{"__metadata__":' + b",".join([metadata(), *map(str.encode, rows)]) + b"}"


def row(name: str = "a", dtype: str = '"F32"', shape: str = "[1]", offsets: str = "[0,4]") -> str:
    return f'"{name}":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}'


WRONG_ROWS = {
    "an unknown dtype": (row(dtype='"F31"'), "tensor 'a' expects one of the dtypes .*; got F31"),
    "a small dtype": (row(dtype='"f32"'), "rows of name, dtype"),
    "a dtype of another type": (row(dtype="32"), "rows of name, dtype"),
    "no dtype": ('"a":{"shape":[1],"data_offsets":[0,4]}', "rows of name, dtype"),
    "more than dtype": ('"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"b":1}', "rows of"),
    "a row of another type": ('"a":[]', "rows of name, dtype"),
    "a number as a name": (row().replace('"a"', "1", 1), "rows of name, dtype"),
    "a negative size": (row(shape="[-1]"), "rows of name, dtype"),
    "a size with a point": (row(shape="[1.0]"), "rows of name, dtype"),
    "a size with an exponent": (row(shape="[1e0]"), "rows of name, dtype"),
    "a size as text": (row(shape='["1"]'), "rows of name, dtype"),
    "true as a size": (row(shape="[true]"), "rows of name, dtype"),
    "null as a size": (row(shape="[null]"), "rows of name, dtype"),
    "nan as a size": (row(shape="[NaN]"), "rows of name, dtype"),
    "a size in a list": (row(shape="[[1]]"), "rows of name, dtype"),
    "a size with a zero before": (row(shape="[01]"), "rows of name, dtype"),
    "a shape of another type": (row(shape="1"), "rows of name, dtype"),
    "17 axes": (row(shape=f"[{','.join('1' * 17)}]"), "at most 16 sizes"),
    "a million axes": (row(shape=f"[{','.join('1' * 1_000_000)}]"), "at most 16 sizes"),
    "a huge size": (row(shape="[1000000000000]"), r"bytes 0 to 4000000000000 for F32 of shape \(1"),
    "sizes that overflow": (row(shape="[4294967296,4294967296]"), "less than 2[*][*]63 bytes; got"),
    "sizes that overflow to 4": (row(shape="[9223372036854775808,2,1]"), "less than 2[*][*]63 byt"),
    "a size of 0 beside huge ones": (
        row(shape="[0,1152921504606846976,1152921504606846976]", offsets="[0,0]"), "less than 2"),
    "a size of 30 digits": (row(shape=f"[{'9' * 30}]"), "rows of name, dtype"),
    "too few bytes": (row(offsets="[0,3]"), r"bytes 0 to 4 for F32 of shape \(1,\); got 0 to 3"),
    "too many bytes": (row(offsets="[0,8]"), "the bytes 0 to 4 .*; got 0 to 8"),
    "a hole before": (row(offsets="[4,8]"), "the bytes 0 to 4 .*; got 4 to 8"),
    "backwards": (row(offsets="[4,0]"), "the bytes 0 to 4 .*; got 4 to 0"),
    "negative offsets": (row(offsets="[-4,0]"), "rows of name, dtype"),
    "offsets with a point": (row(offsets="[0.0,4.0]"), "rows of name, dtype"),
    "one offset": (row(offsets="[0]"), "rows of name, dtype"),
    "three offsets": (row(offsets="[0,4,4]"), "rows of name, dtype"),
    "huge offsets": (row(offsets=f"[0,{2**63}]"), "the bytes 0 to 4"),
    "larger offsets": (row(offsets=f"[{2**64},{2**64 + 4}]"), "rows of name, dtype"),
    "offsets that are large": (row(offsets=f"[{2**62},{2**62 + 4}]"), "the bytes 0 to 4"),
    "an overlap": (f"{row()},{row('b')}", "tensor 'b' expects the bytes 4 to 8 .*; got 0 to 4"),
    "a hole": (f"{row()},{row('b', offsets='[8,12]')}", "the bytes 4 to 8 .*; got 8 to 12"),
    "another order": (f"{row(offsets='[4,8]')},{row('b')}", "tensor 'a' expects the bytes 0 to 4"),
    "a name twice": (f"{row()},{row(offsets='[4,8]')}", "tensor 'a' expects one place; got a sec"),
    "a name twice, in disguise": (
        f"{row()},{row(chr(92) + 'u0061', offsets='[4,8]')}", "tensor 'a' expects one place"),
    "the metadata twice": (f'"__metadata__":{metadata().decode()}', "rows of name, dtype"),
    "a tensor of that name": (row("__metadata__"), "tensor '__metadata__' expects one place"),
    "half a sign": (row("\\ud800"), "the header expects texts in UTF-8; got"),
    "an unknown escape": (row("\\x"), "the header expects texts in UTF-8; got"),
    "a bare line end": (row("\n"), "rows of name, dtype"),
    "a long name": (row("x" * 2000), "the name of a tensor expects at most 2,000 bytes; got 'x?"),
    "blanks": (row().replace(":", ": "), "rows of name, dtype"),
    "a comma at the end": (f"{row()},", "rows of name, dtype"),
    "a comment": (f"{row()}/**/", "rows of name, dtype"),
    "a deep one": ('"a":' + "[" * 100_000, "rows of name, dtype"),
    "a deep object": ('{"a":' * 100_000, "rows of name, dtype"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_ROWS)
def test_a_wrong_row_of_the_table_is_refused(case: str, path: Path) -> None:
    rows, match = WRONG_ROWS[case]
    assert refused(craft(path, table(rows), bytes(4)), match).fix == AGAIN


@pytest.mark.parametrize("end", [b"x", b"\0", b"\n", b" x", b"{}", b"}"])
def test_blanks_alone_may_fill_up_the_header(end: bytes, path: Path) -> None:
    refused(craft(path, table(row()) + end, bytes(4)), "the table of tensors expects rows")


def test_blanks_may_not_be_any_number(path: Path) -> None:
    refused(craft(path, table(row()) + b" " * 4_000_000, bytes(4)), "at most 4,000,000 bytes")


WRONG_METADATA = {
    "a key too few": (metadata(kind=None), "the metadata expects the keys configuration, format,"),
    "no digest": (metadata(sha256=None), "the metadata expects the keys"),
    "a key too many": (metadata(pickle="x"), "the metadata expects the keys"),
    "another key": (metadata(kind=None, kinds="x"), "the metadata expects the keys"),
    "a key twice": (metadata()[:-1] + b',"kind":"model"}', "the metadata expects the keys"),
    "a number": (metadata()[:-1].replace(b'"1"', b"1") + b"}", "the metadata expects the keys"),
    "blanks": (metadata().replace(b":", b": ", 1), "the metadata expects the keys"),
    "an escape": (metadata().replace(b"model", b"mod\\u0065l"), "the metadata expects the keys"),
    "a newer version": (metadata(version="2"), "expects 1 at most; got 2. A newer .* update ker"),
    "a much newer version": (metadata(version="9" * 9), "update kerasish"),
    "version 0": (metadata(version="0"), "the version expects a whole number; got '0'"),
    "version 1.0": (metadata(version="1.0"), "the version expects a whole number; got '1.0'"),
    "a long version": (metadata(version="9" * 5000), "the version expects a whole number; got '9"),
    "another kind": (metadata(kind="Model"), "the kind expects 'model' or .*; got 'Model'"),
    "a long kind": (metadata(kind="m" * 9999), "the kind expects 'model' or .*; got 'm{40}'"),
    "another digest": (metadata(), "the content expects to match its SHA-256"),
    "a short digest": (metadata(sha256=""), "the content expects to match its SHA-256"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_METADATA)
def test_wrong_metadata_are_refused(case: str, path: Path) -> None:
    text, match = WRONG_METADATA[case]
    refused(craft(path, b'{"__metadata__":' + text + b"}"), match)


@pytest.mark.parametrize("version", [b"", b"PK\x03\x04" + bytes(30), b"\x80\x04N.", b"\x89HDF\r\n"])
def test_other_files_are_refused(version: bytes, path: Path) -> None:
    path.write_bytes(version)
    refused(path)


@pytest.mark.parametrize(("begin", "match"), [
    (b"PK\3\4" + bytes(30), r"got a zip, as torch.save.*from_torch\(module\)"),
    (b"\x89HDF\r\n\x1a\n" + bytes(30), r"got an HDF5 file.*set_weights"),
    (pickle.dumps([print]), r"got a pickle.*from_torch"),
    (b"", "expects at least 8 bytes; got 0|ends 8 bytes too early"),
])  # fmt: skip
def test_files_of_other_libraries_are_known(begin: bytes, match: str, path: Path) -> None:
    path.write_bytes(begin)
    refused(path, match)


def test_a_file_of_torch_is_known(path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, path)
    refused(path, "got a zip, as torch.save writes it")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="not on this system")
def test_a_file_that_says_it_is_empty(path: Path) -> None:
    with pytest.raises(ModelFileError, match="expects at least 8 bytes; got 0"):
        read_file("/proc/self/maps", ("model",))


PICKLE = pickle.dumps(print)


@pytest.mark.parametrize("write", [
    lambda path: safetensors.torch.save_file({"a": torch.ones(2)}, path),
    lambda path: safetensors.torch.save_file({"a": torch.ones(2)}, path, {"format": "pt"}),
    lambda path: craft(path, b'{ "a": 1}'), lambda path: craft(path, b"{}"),
    lambda path: craft(path, b""), lambda path: craft(path, b"\xff\xfe"),
    lambda path: craft(path, PICKLE)],
    ids=["plain", "of torch", "blanks", "empty", "nothing", "no text", "a pickle"])  # fmt: skip
def test_a_file_without_our_metadata_is_told_how_to_load(write: Callable, path: Path) -> None:
    write(path)
    error = refused(path, "its header expects the metadata of kerasish; got none. If it is a plain")
    call = f"module.load_state_dict(safetensors.torch.load_file({str(path)!r}))"
    assert call in error.fix


@pytest.mark.parametrize("length", [101, 2**20, 100_000_000, 2**32, 2**63, 2**64 - 1])
def test_a_header_longer_than_the_file_is_refused(length: int, path: Path) -> None:
    path.write_bytes(length.to_bytes(8, "little") + bytes(100))
    refused(path, f"the header expects a length of at most 100 bytes; got {length:,}")


def test_a_header_may_not_be_any_length(path: Path) -> None:
    with path.open("wb") as file:
        file.write((100_000_000).to_bytes(8, "little"))
        file.truncate(200_000_000)  # a hole: it takes no room
    assert peak_of(lambda: refused(path, "at most 12,001,000 bytes; got 100,000,000")) < 2**20


WRONG_CONFIGURATIONS = {
    "nothing": ("", "expects JSON; got Expecting value"),
    "a list": ("[]", "expects an object; got .."),
    "text": ('"{}"', "expects an object"),
    "nan": ('{"a":NaN}', "expects finite numbers; got NaN"),
    "infinity": ('{"a":-Infinity}', "expects finite numbers; got -Infinity"),
    "overflow": ('{"a":1e999}', "expects finite numbers; got 1e999"),
    "a long number": ('{"a":' + "9" * 10_000 + "}", "the configuration"),
    "a key twice": ('{"a":1,"b":2,"a":3}', "expects each key once; got 'a' twice"),
    "many keys twice": ("{" + '"a":1,' * 100_000 + '"b":2}', "expects each key once; got 'a'"),
    "65 levels": ('{"a":' + "[" * 64 + "]" * 64 + "}", "expects at most 64 levels; got more"),
    "many levels": ("[" * 240_000, "expects at most 64 levels; got many more"),
    "many objects": ('{"a":' * 100_000, "expects at most 64 levels; got many more"),
    "many values": ('{"a":[' + "0," * 3_000_000 + "0]}", "expects at most 250,000 values"),
    "many lists": ('{"a":[' + "[]," * 2_000_000 + "0]}", "expects at most 250,000 values"),
    "much text": (f'{{"a":"{"x" * 8_000_000}"}}', "expects at most 8,000,000 characters; got"),
    "much wide text": (f'{{"a":"\\u00e9{"x" * 2_000_000}"}}', "expects at most 2,000,000"),
    "one quote": ("{'a': 1}", "expects JSON"), "a comma": ('{"a":1,}', "expects JSON"),
    "code": ("__import__('os').getcwd()", "expects JSON"),
    "more": ("{}{}", "expects JSON; got Extra data"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_CONFIGURATIONS)
def test_a_wrong_configuration_is_refused(case: str, path: Path) -> None:
    text, match = WRONG_CONFIGURATIONS[case]
    path.write_bytes(honest(text))
    refused(path, f"the configuration {match}" if match != "the configuration" else match)


def test_64_levels_are_read(path: Path) -> None:
    path.write_bytes(honest('{"a":' + "[" * 63 + "]" * 63 + "}"))
    assert read_file(path, KINDS).configuration


def test_a_bool_is_0_or_1(path: Path) -> None:
    path.write_bytes(honest(rows=(Row("ok", "BOOL", (2,), 0, 2),), data=b"\1\2"))
    refused(path, "tensor 'ok' expects bytes of 0 and 1; got 2")


def test_a_file_of_another_kind_is_told_who_loads_it(path: Path) -> None:
    write_file(path, "weights", {}, small())
    error = refused(path, "the kind expects 'model' or 'checkpoint'; got 'weights'",
                    ("model", "checkpoint"))
    assert error.fix == "model.load_weights(path) loads it."


# ---- memory and time ----------------------------------------------------------------------------


def peak_of(action: Callable[[], object]) -> int:
    """The bytes of Python that something takes at its worst."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


MANY = 20_000
LARGE = {
    "many keys": lambda: honest("{" + ",".join(f'"{i:x}":0' for i in range(124_000)) + "}"),
    "many lists": lambda: honest('{"a":[' + "[]," * 124_000 + "0]}"),
    "many objects": lambda: honest('{"a":[' + '{"a":0},' * 62_000 + "0]}"),
    "many numbers": lambda: honest('{"a":[' + "1.5," * 240_000 + "0]}"),
    "much text": lambda: honest(f'{{"a":"{"x" * 7_900_000}"}}'),
    "one sign of four bytes": lambda: honest(f'{{"a":"{"x" * 1_900_000}\\ud83d\\ude00"}}'),
    "too much of four bytes": lambda: honest(f'{{"a":"{"x" * 7_900_000}\\ud83d\\ude00"}}'),
    "many quotes": lambda: honest('{"a":"' + '\\"' * 1_900_000 + '"}'),
    "too many quotes": lambda: honest('{"a":"' + '\\"' * 2_900_000 + '"}'),
    **{name: lambda many=many: honest(rows=tuple(
        Row(f"layers.{i}.w", "F32", (0, 2), 0, 0) for i in range(many)))
       for name, many in (("many tensors", MANY), ("too many tensors", MANY + 1))},
    "a long table": lambda: honest(rows=(Row("x" * 20_000_000, "F32", (), 0, 4),)),
    "a long name": lambda: honest(rows=(Row("x" * 10_000_000, "F32", (), 0, 4),)),
    "many metadata": lambda: framed(metadata(**{f"k{i}": "x" for i in range(400_000)}).join(
        [b'{"__metadata__":', b"}"])),
    "many signs": lambda: framed(table(row())[:-1] + b',"' + b"\\n" * 7_000_000),
    "an open text": lambda: framed(table(row())[:-1] + b',"' + b"x" * 7_000_000),
}  # fmt: skip


@pytest.mark.parametrize("case", LARGE)
def test_memory_is_bounded_by_the_file(case: str, path: Path) -> None:
    data = LARGE[case]()
    path.write_bytes(data)
    size = len(data)
    del data

    def read() -> None:
        try:
            read_file(path, KINDS)
        except ModelFileError:
            pass

    assert peak_of(read) < 2.5 * size + 32 * 2**20


@pytest.mark.parametrize("case", ["wrong rows", "wrong metadata", "wrong configurations", "large"])
def test_time_is_bounded(case: str, path: Path) -> None:
    """By some seconds, as the time of hashing 100 MB: what is quadratic takes minutes."""
    start = time.perf_counter()
    hashlib.sha256(bytes(100_000_000))
    bound = 30 * max(time.perf_counter() - start, 0.1)
    cases: dict[str, Callable[[], list[bytes]]] = {
        "wrong rows": lambda: [framed(table(rows)) for rows, _ in WRONG_ROWS.values()],
        "wrong metadata": lambda: [framed(b'{"__metadata__":' + text + b"}")
                                   for text, _ in WRONG_METADATA.values()],
        "wrong configurations": lambda: [
            honest(text) for text, _ in WRONG_CONFIGURATIONS.values()],
        "large": lambda: [make() for make in LARGE.values()]}
    for data in cases[case]():
        path.write_bytes(data)
        start = time.perf_counter()
        try:
            read_file(path, KINDS)
        except ModelFileError:
            pass
        assert time.perf_counter() - start < bound


def resident(which: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"{which}:\s+(\d+) kB", status)[0]) * 1024


def most_resident(action: Callable[[], object]) -> int:
    """The bytes by which this process grows at its worst."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the peak of memory cannot be measured here")
    before = resident("VmRSS")
    action()
    return resident("VmHWM") - before


def test_a_large_file_takes_its_size_once(path: Path) -> None:
    size = 64 * 2**20
    tensors = {str(i): torch.randn(size // 16) for i in range(4)}
    assert most_resident(lambda: write_file(path, "weights", {}, tensors)) < 0.25 * size
    held: list[Stored] = []
    assert most_resident(lambda: held.append(read_file(path, KINDS))) < 1.25 * size
    assert same(held[0].tensors()["3"], tensors["3"])


def test_a_large_file_that_is_damaged_takes_no_memory(path: Path) -> None:
    write_file(path, "weights", {}, {"a": torch.ones(16 * 2**20)})
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\1")
    assert most_resident(lambda: refused(path, "SHA-256")) < 8 * 2**20


# ---- the path -----------------------------------------------------------------------------------


def test_a_missing_file_is_told(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Check the name, relative to the folder") as caught:
        read_file(path, KINDS)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(path))


@pytest.mark.parametrize(("make", "kind"), [
    (Path.mkdir, "a folder"), (os.mkfifo, "a pipe"),
    (lambda path: path.symlink_to("/dev/zero"), "a device")], ids=["folder", "pipe", "device"])
def test_what_is_no_file_is_not_opened(
    make: Callable, kind: str, path: Path, monkeypatch
) -> None:
    make(path)
    monkeypatch.setattr(io, "FileIO", lambda path: pytest.fail("opened"))
    refused(path, f"it expects a file; got {kind}. Name the file itself")


def test_a_link_to_a_file_is_read(path: Path) -> None:
    write_file(path, "model", {}, small())
    link = path.with_name("link")
    link.symlink_to(path.name)
    assert read_file(link, KINDS).tensors().keys() == small().keys()


@pytest.mark.parametrize("wrong", [None, 3, b"net"])
def test_what_is_no_path_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"read_file\(path\) expects a path; got "):
        read_file(wrong, KINDS)
    with pytest.raises(TypeError, match=r"write_file\(path\) expects a path; got "):
        write_file(wrong, "model", {}, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(path: Path) -> None:
    write_file(path, "model", {}, small())
    path.chmod(0)
    with pytest.raises(PermissionError, match="and the permissions") as caught:
        read_file(path, KINDS)
    assert caught.value.filename == str(path)


class Replaced(io.FileIO):
    """A file in whose place something happens once its digest has been read."""

    happens: Callable[[], object]
    reads = 0

    def readinto(self, room: Any) -> int:
        Replaced.reads += 1
        if Replaced.reads == 3:  # the length, the data for the digest, and now the first tensor
            Replaced.happens()
        return super().readinto(room)


@pytest.fixture
def once_checked(monkeypatch) -> type[Replaced]:
    monkeypatch.setattr(io, "FileIO", Replaced)
    monkeypatch.setattr(Replaced, "reads", 0)
    return Replaced


def test_a_file_that_is_replaced_meanwhile_is_not_mixed(
    path: Path, once_checked: type[Replaced]
) -> None:
    tensors = small()
    write_file(path, "model", {}, tensors)
    once_checked.happens = lambda: write_file(path, "model", {}, small())
    found = read_file(path, KINDS).tensors()
    assert all(same(found[name], tensor) for name, tensor in tensors.items())
    once_checked.reads = 10
    assert not same(read_file(path, KINDS).tensors()["0.weight"], tensors["0.weight"])


@pytest.mark.parametrize("change", [
    lambda data: data[:-32] + bytes(32), lambda data: data + b"x"], ids=["values", "length"])
def test_a_file_that_is_written_meanwhile_is_told(
    change: Callable, path: Path, once_checked: type[Replaced]
) -> None:
    write_file(path, "model", {}, small())
    os.utime(path, (0, 0))
    once_checked.happens = lambda: path.write_bytes(change(path.read_bytes()))
    refused(path, "the file changed while it was read. Load it again")


def test_a_file_that_shrinks_meanwhile_is_told(path: Path, once_checked: type[Replaced]) -> None:
    write_file(path, "model", {}, small())
    once_checked.happens = lambda: os.truncate(path, path.stat().st_size - 30)
    refused(path, "the file ends [0-9]+ bytes too early")


def test_a_disk_that_fails_is_told(path: Path, once_checked: type[Replaced]) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "broken")

    write_file(path, "model", {}, small())
    once_checked.happens = fail
    with pytest.raises(OSError, match="broken; it cannot be read") as caught:
        read_file(path, KINDS)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))


# ---- no traces ----------------------------------------------------------------------------------


def test_reading_and_writing_leave_no_traces(path: Path) -> None:
    def state() -> tuple[Any, ...]:
        return (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state()),
                torch.get_default_dtype(), os.getcwd(), list(warnings.filters), set(sys.modules),
                dict(os.environ), torch.is_inference_mode_enabled(), os.listdir("/proc/self/fd"))

    before = state()
    for _ in range(2):
        write_file(path, "model", {"a": [1]}, small())
        read_file(path, KINDS).tensors()
        with pytest.raises(ModelFileError):
            read_file(path, ("weights",))
        torch.set_rng_state(torch.tensor(before[0], dtype=torch.uint8))  # small() draws
    assert state() == before


WATCHED = """
import os, sys
import torch
from kerasish.saving import read_file
path = sys.argv[1]
read_file(path, ("model",))
seen = []
sys.addaudithook(lambda event, arguments: seen.append((event, *map(str, arguments[:1]))))
read_file(path, ("model",)).tensors()
names = [(event, *rest) for event, *rest in seen]
print(names)
"""


def test_reading_opens_that_file_and_does_nothing_else(path: Path) -> None:
    write_file(path, "model", {"layers": ["os.system", "/etc/passwd", "http://localhost"]}, small())
    root = Path(__file__).resolve().parent.parent.parent
    done = subprocess.run([sys.executable, "-c", WATCHED, path], cwd=root, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([("open", str(path))])


def test_an_error_can_be_passed_on_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(ModelFileError(Path("net"), "the table", "is odd", "Mend.")))
    assert str(error) == "'net' cannot be loaded: the table is odd. Mend."
    assert (error.path, error.entry, error.reason, error.fix) == (
        "net", "the table", "is odd", "Mend.")
