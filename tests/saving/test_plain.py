"""Plain trees in JSON and tensors: what comes back is the same, to the bit and to the type."""

import json
import math
import random
import struct
import sys
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kerasish.saving import pack, read_file, unpack, write_file
from kerasish.saving.header import DTYPES

Point = namedtuple("Point", "x y")


def bits(value: Any) -> Any:
    """What tells two trees apart: types, order, and every bit."""
    if isinstance(value, torch.Tensor):
        return "tensor", value.dtype, value.shape, value.flatten().view(torch.uint8).tolist()
    if isinstance(value, np.ndarray | np.generic):
        return type(value), str(value.dtype), np.shape(value), value.tobytes()
    if isinstance(value, float):
        return float, struct.pack(">d", value)
    if isinstance(value, list | tuple):
        return type(value), [bits(part) for part in value]
    if isinstance(value, dict):
        return type(value), [(bits(key), bits(part)) for key, part in value.items()]
    return type(value), value


def there_and_back(tree: Any, folder: Path) -> Any:
    """Through a file, which takes strict JSON alone."""
    packed, tensors = pack(tree)
    write_file(folder / "net", "checkpoint", {"tree": packed}, tensors)
    stored = read_file(folder / "net", ("checkpoint",))
    return unpack(stored.configuration["tree"], stored.tensors())


def bit_pattern(pattern: int) -> float:
    return float(struct.unpack(">d", pattern.to_bytes(8, "big"))[0])


TREES = {
    "none and bools": [None, True, False],
    "numbers": [0, -1, 1, 2**63 - 1, -(2**63) + 1, 2**63, -(2**63), 2**64, -(10**50), 10**10_000],
    "floats": [0.0, -0.0, 1.0, 0.1, 1e22, 5e-324, sys.float_info.max, 1 / 3, math.pi * 1e-200],
    "no numbers": [math.nan, -math.nan, math.inf, -math.inf, bit_pattern(0x7FF8000000000123),
                   bit_pattern(0x7FF0000000000001), bit_pattern(0xFFF8DEADBEEF0000)],
    "texts": ["", "a", "é漢😀", "\0\x1f\x7f\n\"\\/", "$", "$tuple", "NaN", "null"],
    "half signs": ["\ud800", "\udfff", "a\ud83d", "\ud83d\ude00", "\ude00\ud83d", "\udc80é"],
    "bytes": [b"", b"\0", b"abc", bytes(range(256))],
    "lists": [[], [[]], [[], [[[]]]]],
    "tuples": [(), ((),), (1,), (1, [2, (3,)])],
    "dicts": [{}, {"": 1}, {"a": {"b": {}}}, {"z": 1, "a": 2, "m": 3}, {"a.b": 1, "a": {"b": 2}}],
    "dicts with numbers": [{1: "a"}, {1: 1, "1": 2, -5: (3,)}, {2**70: None}, {0: {0: {0: 0}}}],
    "dicts like tags": [{"$tuple": [1]}, {"$x": 1, "a": 2}, {"$dict": {"$dict": []}}, {"$": 1}],
    "dicts with half signs": [{"\ud800": torch.ones(1), "a": 1}, {"\ud83d\ude00": 1}],
    "arrays": [np.arange(6.0).reshape(2, 3), np.zeros(0), np.zeros((0, 3), np.int8),
               np.array(2.5), np.array(True), np.arange(5, dtype=np.uint64)[::-2],
               np.asfortranarray(np.arange(6).reshape(2, 3)), np.array([1 + 2j], np.complex64),
               np.array([np.nan, -np.inf], np.float16), np.broadcast_to(np.float32(1), (2, 2))],
    "numpy numbers": [kind(1) for kind in (
        np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint64,
        np.uint32, np.uint16, np.uint8, np.bool_, np.complex64)] + [np.float64("nan")],
    "tensors": [torch.tensor(1.5), torch.empty(0, 2), torch.arange(6).reshape(2, 3).t(),
                *(torch.zeros(2, 2).to(dtype) for dtype in DTYPES.values())],
    "alone, a tensor": torch.ones(2), "alone, a number": 3, "alone, none": None,
    "alone, bytes": b"x", "reserved": {"__metadata__": torch.ones(1)},
    "long lists": [[0.1 * k for k in range(32)], list(range(31)), list(range(32)), [True] * 40,
                   [2**63 - 1, -(2**63)] * 16, [2**63] * 32, [1, 1.0] * 16, tuple(range(40)),
                   [-0.0, math.nan, -math.inf, 5e-324, bit_pattern(0x7FF0000000000001),
                    bit_pattern(0xFFF8DEADBEEF0000), sys.float_info.max, 1 / 3] * 4],
    "long keys": {"x" * 5000: torch.ones(1), "x" * 4999: torch.zeros(1)},
    "a run": {"epoch": 3, "callbacks": [{"best": -math.inf, "best_weights": {"0.weight":
              torch.ones(2, 2)}, "wait": 0}, {}, {"random": random.Random(0).getstate()}],
              "history": {"loss": [0.5, math.nan], "val_loss": []}, "numpy": np.arange(3)},
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_a_tree_comes_back_exactly(name: str, tmp_path: Path) -> None:
    tree = TREES[name]
    packed, tensors = pack(tree)
    text = json.dumps(packed, allow_nan=False)
    assert bits(unpack(json.loads(text), tensors)) == bits(tree)
    assert bits(there_and_back(tree, tmp_path)) == bits(tree)


def any_tree(dice: random.Random, levels: int) -> Any:
    kind = dice.randrange(12 if levels else 8)
    if kind >= 8:
        parts = [any_tree(dice, levels - 1) for _ in range(dice.randrange(4))]
        keys = [dice.choice([f"k{i}", i, f"$k{i}", f"k.{i}", f"\ud800{i}"]) for i in range(4)]
        return {8: parts, 9: tuple(parts)}.get(kind, dict(zip(keys, parts, strict=False)))
    return [None, dice.random() < 0.5, dice.getrandbits(80) - 2**79,
            bit_pattern(dice.getrandbits(64)), "".join(map(chr, dice.choices(range(0xE000), k=3))),
            dice.randbytes(3), np.float32(dice.random()), torch.rand(dice.randrange(3))][kind]


def test_any_tree_comes_back_exactly() -> None:
    dice = random.Random(0)
    for _ in range(500):
        tree = any_tree(dice, 4)
        packed, tensors = pack(tree)
        assert bits(unpack(json.loads(json.dumps(packed, allow_nan=False)), tensors)) == bits(tree)


def test_tensors_are_named_by_their_places() -> None:
    tree = {"callbacks": [{"best_weights": {"0.weight": torch.ones(1)}}, (np.ones(1), b"x")]}
    assert list(pack(tree)[1]) == ["callbacks.0.best_weights.0.weight", "callbacks.1.0",
                                   "callbacks.1.1"]
    same = {"a": {"b": torch.ones(1)}, "a.b": torch.ones(1), "a.b~1": torch.ones(1)}
    assert list(pack(same)[1]) == ["a.b", "a.b~1", "a.b~1~1"]


def test_plain_parts_look_as_they_are() -> None:
    tree = {"epoch": 3, "loss": [0.5, None], "name": "net"}
    assert pack(tree) == (tree, {})


def test_tensors_with_gradients_are_taken_without() -> None:
    packed, tensors = pack([torch.ones(1, requires_grad=True)])
    assert not unpack(packed, tensors)[0].requires_grad


def test_arrays_that_come_back_may_be_written() -> None:
    array = np.arange(3)
    array.flags.writeable = False
    packed, tensors = pack([array])
    unpack(packed, tensors)[0][:] = 1
    assert array.tolist() == [0, 1, 2]


def test_a_history_of_50_000_epochs_with_20_logs(tmp_path: Path) -> None:
    dice = random.Random(0)
    history = {f"log_{k}": [dice.random() for _ in range(50_000)] for k in range(20)}
    history["log_0"][7] = math.nan
    run = {"epoch": list(range(50_000)), "history": history, "batches": [2**40] * 50_000}
    there = there_and_back(run, tmp_path)
    assert list(map(type, there["epoch"])) == [int] * 50_000
    assert there["epoch"] == run["epoch"] and there["batches"] == run["batches"]
    for name, values in history.items():
        assert struct.pack("50000d", *there["history"][name]) == struct.pack("50000d", *values)


def test_a_tensor_is_used_once() -> None:
    for tree in ([1.5] * 32, b"abc", torch.ones(2)):
        packed, tensors = pack([tree])
        with pytest.raises(ValueError, match="expects what pack makes, with its tensors"):
            unpack([packed[0], packed[0]], tensors)


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(("tree", "got"), [
    ({"a": [object()]}, "got object at 'a.0'"), ({"a": {1, 2}}, "got set at 'a'"),
    ([1, print], "got builtin_function_or_method at '1'"), (OrderedDict(), "got OrderedDict at ''"),
    ({"p": Point(1, 2)}, "got Point at 'p'"), ([torch.ones(2).shape], "got Size at '0'"),
    ([1j], "got complex at '0'"), ([bytearray()], "got bytearray at '0'"),
    ({"a": {(1, 2): 3}}, "got tuple at 'a.its keys'"), ({None: 1}, "got NoneType at 'its keys'"),
    ({True: 1}, "got bool at 'its keys'"), ({1.0: 1}, "got float at 'its keys'"),
    ([torch.ones(1).cdouble()], "got Tensor of torch.complex128 at '0'"),
    ([torch.ones(1, device="meta")], "got Tensor of torch.float32 at '0'"),
    ([torch.eye(2).to_sparse()], "got Tensor of torch.float32 at '0'"),
    ([np.array(["a"])], "got ndarray of <U1 at '0'"), ([np.str_("a")], "got str_ of <U1 at '0'"),
    ([np.array([None])], "got ndarray of object at '0'"),
    ([np.ones(1, ">f4")], "got ndarray of >f4 at '0'"),
    ([np.ones(1, complex)], "got ndarray of complex128 at '0'"),
    ([np.longdouble(1)], "got longdouble of "), ([np.datetime64("2020")], "got datetime64 of "),
    ([np.ma.array([1])], "got MaskedArray of int64 at '0'"),
])  # fmt: skip
def test_anything_else_is_named_with_its_place(tree: Any, got: str) -> None:
    with pytest.raises(TypeError, match=r"pack\(tree\) expects None, bool, .*; got") as caught:
        pack(tree)
    assert got in str(caught.value) and "Convert it." in str(caught.value)


def test_a_tree_that_holds_itself_is_refused() -> None:
    circle: dict[str, Any] = {"a": []}
    circle["a"].append(circle)
    with pytest.raises(ValueError, match=r"64 levels; got more at 'a\.0\.a\.0'\. Does it hold"):
        pack(circle)


@pytest.mark.parametrize("wrap", [lambda part: [part], lambda part: (part,),
                                  lambda part: {"a": part}, lambda part: {1: part}])
def test_64_levels_are_packed_and_unpacked(wrap: Any) -> None:
    tree: Any = None
    for _ in range(64):
        tree = wrap(tree)
    assert unpack(*pack(tree)) == tree
    with pytest.raises(ValueError, match="at most 64 levels"):
        pack(wrap(tree))


deep: Any = []
for _ in range(10_000):
    deep = [deep]
GIVEN = {"f": torch.ones(2), "u": torch.ones(2, dtype=torch.uint8), "b": torch.ones(2).bfloat16(),
         "u2": torch.ones(2, 2, dtype=torch.uint8)}  # fmt: skip


@pytest.mark.parametrize("malformed", [
    {"$floats": "f"}, {"$floats": "u"}, {"$floats": []}, {"$floats": "missing"}, {"$ints": "f"},
    {"$ints": "u2"}, {"$ints": [1]},
    {"$unknown": 1}, {"$tuple": 1}, {"$tuple": {}}, {"$tuple": "ab"}, {"$tuple": [], "a": 1},
    {"a": 1, "$tuple": []}, {"$int": 5}, {"$int": "xyz"}, {"$int": ""}, {"$int": None},
    {"$float": "7ff"}, {"$float": "zz"}, {"$float": 1.0}, {"$float": "7ff00000000000000000"},
    {"$str": "zz"}, {"$str": "ff"}, {"$str": 1}, {"$bytes": "missing"}, {"$bytes": "f"},
    {"$bytes": "u2"}, {"$bytes": []}, {"$tensor": "missing"}, {"$tensor": 1}, {"$tensor": []},
    {"$tensor": {}}, {"$tensor": None}, {"$array": "missing"}, {"$array": "b"}, {"$array": 3},
    {"$number": "f"}, {"$number": "missing"}, {"$dict": 1}, {"$dict": {}}, {"$dict": [1]},
    {"$dict": [[1]]}, {"$dict": [[1, 2, 3]]}, {"$dict": ["ab"]}, {"$dict": [[[], 1]]},
    {"$dict": [[None, 1]]}, {"$dict": [[True, 1]]}, {"$dict": [[1.5, 1]]},
    {"$dict": [[1, 1], [1, 2]]}, {"$dict": [{"$tuple": [1, 2]}]}, {"": {"$": 1}}, {"$": 1},
    {1: 2}, (1,), object(), {"a": {1}}, b"x", deep], ids=lambda each: str(type(each)))
def test_what_pack_does_not_make_is_refused(malformed: Any) -> None:
    for tree in (malformed, [malformed], {"a": [malformed]}, {"$tuple": [malformed]}):
        with pytest.raises(ValueError, match=r"unpack\(json_tree\) expects what pack makes, with "
                           r"its tensors; got (.|\n)*\. Make it with pack"):
            unpack(tree, GIVEN)
