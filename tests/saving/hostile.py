"""Files that somebody made to do harm, and a program that loads them all under watch.

Run as a program with a folder: it loads each file in it and prints what happened as JSON.
"""

import copy
import gc
import json
import pickle
import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kerasish import Model, layers, losses, metrics, optimizers, regularizers, schedules
from kerasish.saving import ModelFileError, read_file, write_file
from kerasish.saving.header import TENSORS_LIMIT, Header, Row
from tests.saving.huge import huge_settings

Content = tuple[dict[str, Any], dict[str, torch.Tensor]]

VALUES: list[Any] = [
    "os.system", "builtins.eval", "kerasish.saving.format.write_file", "lambda x: x",
    "http://127.0.0.1:9/net", "file:///etc/passwd", "/etc/passwd", "../../outside", "\0", "",
    "x" * 100_000, "$object", "__class__", 10**12, 2**63 - 1, -1, 0, 1e308, True, None, [], {},
    {"$object": 0}, {"$object": 10**9}, {"$object": -1}, {"$object": "0"}, {"$object": True},
    {"$function": "os.system"}, {"$tensor": "0.weight"}, {"$tensor": "nowhere"}, {"$dtype": "nn"},
    {"$float": "7ff8000000000000"}, {"$int": "0x" + "f" * 5000}, {"$tuple": [1] * 1000},
    {"$dict": [[1, 2], [1, 3]]}, {"$bytes": "0.weight"}, {"$str": "zz"}, {"py/object": "os.system"},
    {"class_name": "Lambda", "config": {"function": ["gANj", None, None]}, "module": "os"},
    {"__reduce__": ["os.system", ["true"]]}, {"module": "os", "name": "system"}, [[[[[[[[]]]]]]]],
]
"""What is put in every place of a good file in turn."""

TRUST = {"safe_mode": False, "trust": True, "allow_pickle": True, "weights_only": False,
         "trust_remote_code": True, "custom": ["os.system"], "module": "os", "__main__": "run"}
UNTRAINED = {"class": "Model", "training": None, "epochs_trained": 0, "batches_trained": 0}


def good(folder: Path) -> Content:
    """A model with something in every slot, as it is in its file."""
    model = Model(layers.Linear(3, weight_regularizer=regularizers.L2(0.1)), layers.Dropout(0.5),
                  layers.Linear(1, weight_initializer="ones"), device="cpu")
    model.compile(optimizers.Adam(schedules.CosineDecay(0.1, 10), use_ema=True), losses.MSE(),
                  metrics=["mae", metrics.MSE()])
    model.fit(np.ones((4, 2), "float32"), np.ones((4, 1), "float32"), verbose=0, seed=0)
    model.save(folder / "good")
    stored = read_file(folder / "good", ("model",))
    return stored.configuration, stored.tensors()


def corpus(configuration: dict[str, Any], tensors: dict[str, Any]) -> Iterator[tuple[str, Content]]:
    """Hostile contents by name."""
    slots = list(places(configuration))
    for number, place in enumerate(slots):
        for step in range(3):
            value = VALUES[(3 * number + step) % len(VALUES)]
            yield (f"{'.'.join(map(str, place))}={json.dumps(value)[:40]}",
                   (changed(configuration, place, value), tensors))
    for slot in ("optimizer", "loss", "metrics"):
        for number in range(5):
            yield f"object {number} as {slot}", (
                changed(configuration, ("training", "tree", "compile", slot),
                        {"$object": number}), tensors)
    for name, value in TRUST.items():
        yield f"switch {name}", (configuration | {name: value}, tensors)
        for part in ("net", "training"):
            yield f"switch {name} in {part}", (
                changed(configuration, (part, name), value), tensors)
        yield f"switch {name} in an object", (
            changed(configuration, ("net", "objects", 1, "config", name), value), tensors)
    for name in ("os.system", "builtins.exec", "kerasish.Model", "layers.__init__", "Linear",
                 "torch.nn.Linear", "layers.Linear.__class__", "custom.os.system", "__import__",
                 "losses.Loss", "kerasish.layers.Linear", "metrics.get", "layers/Linear", "",
                 "containers.Input", "optimizers.flatten", "layers.linear", "x" * 5000):
        yield f"class {name[:30]}", (
            changed(configuration, ("net", "objects", 1, "class"), name), tensors)
    for name, net in nets():
        settings = {"module": {"$object": len(net) - 1}, "shapes": {"": {"$tuple": [4]}},
                    "dtype": None, "modules": {}, "parameters": {}}
        for built in (True, False):
            tree = settings | ({} if built else {"shapes": {}})
            content = UNTRAINED | {"net": {"objects": net, "tree": tree}}
            yield f"{name}, {'built' if built else 'unbuilt'}", (content, {})
    for name, settings in huge_settings():
        yield f"huge {name}", (UNTRAINED | {"net": settings}, {})
    for count in (1_000, 200_000):
        for slot, value in (("metrics", "mae"), ("weighted_metrics", "mae"), ("loss", "mse"),
                            ("loss_weights", 0.5)):
            place = ("training", "tree", "compile", slot)
            yield f"{count} as {slot}", (changed(configuration, place, [value] * count), tensors)
            named = {f"k{number}": value for number in range(count // 2)}
            yield f"{count // 2} named as {slot}", (changed(configuration, place, named), tensors)
    for name in tensors:
        yield f"without {name}", (configuration, {k: v for k, v in tensors.items() if k != name})
        yield f"another shape of {name}", (configuration, tensors | {name: torch.ones(7, 7)})
        yield f"integers as {name}", (configuration, tensors | {name: tensors[name].to(torch.int8)})
    for name in ("3.weight", "optimizer:x.0.weight", "config:net.0", "../x", "__class__"):
        yield f"one more, {name}", (configuration, tensors | {name: torch.ones(2)})


def nets() -> Iterator[tuple[str, list[Any]]]:
    """Tables of objects whose last one is the net."""
    def row(cls: str, **config: Any) -> dict[str, Any]:
        return {"class": cls, "config": config}

    def several(*numbers: int) -> dict[str, Any]:
        return {"layers": {"$tuple": [{"$object": number} for number in numbers]}}

    relu, inside = row("layers.ReLU"), row("layers.TransformerEncoderLayer", nhead=1)
    for size in (10**12, 2**62, 10**30):
        big = size if size < 2**63 else {"$int": hex(size)}
        yield f"Linear of {size}", [row("layers.Linear", out_features=big)]
        yield f"LSTM of {size} layers", [row("layers.LSTM", hidden_size=1, num_layers=big)]
        yield f"GRU of {size}", [row("layers.GRU", hidden_size=big, num_layers=1000)]
        yield f"Embedding of {size}", [row("layers.Embedding", num_embeddings=big, embedding_dim=9)]
        yield f"{size} encoders", [inside, row(
            "layers.TransformerEncoder", encoder_layer={"$object": 0}, num_layers=big)]
        yield f"Conv1d of {size}", [row("layers.Conv1d", out_channels=big, kernel_size=big)]
        yield f"padding of {size}", [row("layers.ConstantPad1d", padding=big, value=0)]
        yield f"a response over {size}", [row("layers.LocalResponseNorm", size=big)]
        yield f"positions up to {size}", [row("layers.PositionalEncoding", max_len=big)]
    encoders = [inside]
    for number in range(12):
        encoders.append(row("layers.TransformerEncoder", encoder_layer={"$object": number},
                            num_layers=10))
    yield "encoders of encoders", encoders
    yield "many encoders", [inside, *[row("layers.TransformerEncoder", num_layers=900,
                                          encoder_layer={"$object": 0})] * 5000]
    doubling = [relu, *(row("containers.Sequential", **several(n, n)) for n in range(60))]
    yield "2 ** 60 places", doubling
    yield "2 ** 60 branches", [relu, *(row("containers.Parallel", branches=several(n, n)["layers"],
                                           merge=None) for n in range(60))]
    yield "deep", [relu, *(row("containers.Sequential", **several(n)) for n in range(20_000))]
    yield "deep shared", [relu, *(row("containers.Shared", module={"$object": n})
                                  for n in range(5000))]
    yield "wide", [relu, row("containers.Sequential", **several(*[0] * 200_000))]
    yield "very many", [relu] * 90_000
    yield "a circle", [row("containers.Sequential", **several(0))]
    yield "a circle of two", [row("containers.Sequential", **several(1)),
                              row("containers.Sequential", **several(0))]
    yield "nothing there", [row("containers.Sequential", **several(7))]
    yield "no module", [row("losses.MSE")]
    yield "a loss among layers", [row("losses.MSE"), row("containers.Sequential", **several(0))]
    yield "an optimizer as regularizer", [row("optimizers.SGD", learning_rate=0.1), row(
        "layers.Linear", out_features=2, weight_regularizer={"$object": 0})]
    yield "Lambda", [row("layers.Lambda", forward="os.system", backward="os.system")]
    slow = row("layers.LocalResponseNorm", size=10**9)
    for part in (relu, slow):
        yield f"Lambda of {part['class']}", [part, row("layers.Lambda", forward={"$object": 0},
                                                       backward={"$object": 0})]
    node = row("containers.Node", module=None, inputs={"$tuple": []}, shape={"$tuple": [4]})
    step = row("containers.Node", module={"$object": 0}, inputs={"$object": 1}, shape=None)
    yield "a node as net", [relu, node]
    for name, change in (("itself", {"$object": 2}), ("a later one", {"$object": 3}),
                         ("a module", {"$object": 0}), ("text", "os.system"), ("none", None)):
        wrong = row("containers.Node", module={"$object": 0}, inputs=change, shape={"$tuple": [4]})
        yield f"a node that needs {name}", [relu, node, wrong, row(
            "containers.Graph", inputs={"$object": 1}, outputs={"$object": 2})]
    for module in ("os.system", {"$object": 1}, None, 3):
        wrong = row("containers.Node", module=module, inputs={"$object": 1}, shape={"$tuple": [4]})
        yield f"a node of {module}", [relu, node, wrong, row(
            "containers.Graph", inputs={"$object": 1}, outputs={"$object": 2})]
    chain = [relu, node, *(row("containers.Node", module={"$object": 0}, shape={"$tuple": [4]},
                               inputs={"$object": number}) for number in range(1, 3000))]
    graph = row("containers.Graph", inputs={"$object": 1}, outputs={"$object": 3000})
    yield "a long graph", [*chain, graph]
    yield "too long a graph", [*chain, *chain[2:], graph]
    yield "many long graphs", [*chain, *[graph] * 900]
    yield "a graph of no nodes", [relu, row("containers.Graph", inputs={"$object": 0},
                                            outputs="os.system")]
    yield "2,000 layers without parameters", [
        *[row("layers.Linear", out_features=1)] * 2000,
        row("containers.Sequential", **several(*range(2000)))]
    for count in (400, 900, 15_000):
        yield f"{count} recurrent layers", [row("layers.LSTM", hidden_size=1, num_layers=count,
                                                bidirectional=True)]
    yield "an input that leads nowhere", [relu, node, node, step, row(
        "containers.Graph", inputs={"$object": 2}, outputs={"$object": 3})]


def large() -> Iterator[tuple[str, bytes]]:
    """Files whose digest is right and that are much to read; whole, since nobody writes them."""
    objects = [{"class": "layers.ReLU", "config": {}}] * 3_990
    every = [{"$object": number} for number in range(len(objects))]
    objects = [*objects, {"class": "containers.Sequential",
                          "config": {"layers": {"$tuple": every}}}]
    net = {"tree": {"module": {"$object": 3_990}, "shapes": {}, "dtype": None, "modules": {},
                    "parameters": {}}, "objects": objects}
    settings = UNTRAINED | {"net": net}
    nulls = [{"class": "layers.ReLU", "config": {"x": [None] * 240_000}}]
    wrong = settings | {"net": net | {"objects": nulls}}

    def empties(count: int, name: str = "layers.{}.weight", axes: int = 1) -> tuple[Row, ...]:
        return tuple(Row(name.format(i), "F32", (0,) * axes, 0, 0) for i in range(count))

    most = TENSORS_LIMIT
    yield "100,000 empty tensors", honest("{}", empties(100_000))
    yield "as many empty tensors as may be", honest(json.dumps(settings), empties(most))
    yield "tensors of many axes", honest("{}", empties(most, axes=16))
    yield "tensors of wide names", honest("{}", empties(2_000, "{}" + "\U0001f600" * 450))
    yield "tensors of one wide sign", honest("{}", empties(2_000, "{}\U0001f600" + "x" * 1_800))
    yield "small tensors", honest("{}", tuple(
        Row(f"{i}.w", "F32", (1,), 4 * i, 4 * i + 4) for i in range(most)), bytes(4 * most))
    for count in (1_900_000, 4_900_000, 9_800_000):
        yield f"{count:,} quotes", honest('{"a":"' + '\\"' * count + '"}')
        yield f"{count:,} backslashes", honest('{"a":"' + "\\\\" * count + '"}')
    for count in (7_900_000, 46_000_000):
        yield f"text of {count:,}", honest('{"a":"' + "x" * count + '"}', empties(most))
    yield "one wide sign", honest('{"a":"' + "x" * 1_900_000 + '\\ud83d\\ude00"}', empties(most))
    yield "many keys", honest("{" + ",".join(f'"{i:x}":0' for i in range(124_000)) + "}",
                              empties(most))
    yield "many lists", honest('{"a":[' + "[]," * 124_000 + "0]}", empties(most))
    yield "many objects", honest('{"a":[' + '{"a":0},' * 62_000 + "0]}", empties(most))
    yield "long numbers", honest('{"a":[' + ("9" * 4000 + ",") * 1900 + "0]}", empties(most))
    yield "many values in the settings of one", honest(json.dumps(wrong, separators=(",", ":")))


def honest(configuration: str, rows: tuple[Row, ...] = (), data: bytes = b"") -> bytes:
    """A file whose digest is right, whatever it holds."""
    digest = Header("model", configuration, rows).digest()
    digest.update(data)
    return Header("model", configuration, rows, digest.hexdigest()).to_bytes() + data


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a tree."""
    parts = value.items() if isinstance(value, dict) else (
        enumerate(value) if isinstance(value, list) else ())
    for key, part in parts:
        yield (*place, key)
        yield from places(part, (*place, key))


def changed(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy of a tree with another value at one place."""
    tree = copy.deepcopy(tree)
    part = tree
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return tree


def damaged(good: bytes) -> Iterator[tuple[str, bytes]]:
    """Files that are no files of ours."""
    class Attack:
        def __reduce__(self) -> Any:
            return print, ("run",)

    yield "a pickle", pickle.dumps(Attack())
    yield "a zip", b"PK\3\4" + pickle.dumps(Attack()) * 10
    yield "a pickle behind a length", (8).to_bytes(8, "little") + pickle.dumps(Attack())
    yield "empty", b""
    yield "a program", b"#!/bin/sh\ntrue\n"
    yield "a huge length", b"\xff" * 8 + good[8:]
    yield "other settings", good.replace(b"out_features", b"out_featurez", 1)
    for cut in (1, 8, 9, len(good) // 2, len(good) - 1):
        yield f"cut at {cut}", good[:cut]
    for place in range(0, len(good), max(1, len(good) // 20)):
        yield f"one bit at {place}", good[:place] + bytes([good[place] ^ 4]) + good[place + 1:]


def write_all(folder: Path) -> dict[str, str]:
    """Writes the whole corpus; returns file → what it is."""
    contents = good(folder)
    names = {}
    for name, (configuration, tensors) in corpus(*contents):
        path = f"{len(names):04}"
        try:
            write_file(folder / path, "model", configuration, tensors)
        except (TypeError, ValueError):  # the format itself has no room for it
            continue
        names[path] = name
    for name, content in (*damaged((folder / "good").read_bytes()), *large()):
        path = f"{len(names):04}"
        (folder / path).write_bytes(content)
        names[path] = name
    return names


# ---- the program --------------------------------------------------------------------------------

QUIET = ("builtins.id", "object.", "sys._getframe", "os.listdir", "os.scandir", "os.putenv",
         "gc.", "sys.addaudithook", "sys.settrace", "sys.setprofile", "cpython.", "array.")


def resident(which: str) -> float:
    """The MiB of this process, "VmRSS" now and "VmHWM" at the worst since `forget_the_worst`."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"{which}:\s+(\d+) kB", status)[0]) / 1024


def forget_the_worst() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def seconds_of(path: Path) -> float:
    start = time.process_time()
    with suppress(ModelFileError):
        Model.load(path, device="cpu")
    return time.process_time() - start


def main(folder: Path) -> None:
    """Loads every file, and prints for each: what came, other events, seconds, MiB.

    The seconds of a slow one are the least of three, since others work on the machine, too; those
    of the good one say how fast it is.
    """
    for path in ("good", "0000", "good"):
        seconds_of(folder / path)
    repr(torch.ones(1))  # torch imports what it needs to show a tensor in an error,
    with torch.device("meta"):  # and to work without numbers
        torch.zeros_like(torch.empty(1).normal_()).relu()
    usual = sorted(seconds_of(folder / "good") for _ in range(9))[4]
    gc.collect()
    gc.freeze()  # so that each of the many collections below is quick
    events: list[str] = []
    current = ""

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if not event.startswith(QUIET) and not (event == "open" and arguments[0] == current):
            events.append(f"{event} {arguments!r}"[:200])

    sys.addaudithook(listen)
    found = {}
    for path in sorted(folder.iterdir()):
        current, state = str(path), torch.get_rng_state()
        gc.collect()
        forget_the_worst()
        before = resident("VmRSS")
        events.clear()
        start = time.process_time()
        try:
            Model.load(current, device="cpu")
            result = "loaded"
        except ModelFileError:
            result = "refused"
        except BaseException as error:
            result = f"{type(error).__name__}: {error}"[:300]
        seconds = time.process_time() - start
        if not torch.equal(state, torch.get_rng_state()):
            events.append("random state")
        said, mib = list(events), resident("VmHWM") - before
        if seconds > 0.4:
            seconds = min(seconds, seconds_of(path), seconds_of(path))
        found[path.name] = [result, said, usual if path.name == "good" else seconds, mib]
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
