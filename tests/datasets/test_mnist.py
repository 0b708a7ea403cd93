"""MNIST: where it is looked for, what is refused, and how it is downloaded."""

import gzip
import importlib
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from kerasish import Model, datasets
from kerasish.datasets.idx import unzipped
from kerasish.layers import Flatten, Linear
from tests.datasets import originals
from tests.datasets.originals import needs_digits

MODULE = importlib.import_module("kerasish.datasets.mnist")  # the package has the function
FIRST = "train-images-idx3-ubyte"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small originals, a cache of its own, and no way out."""
    sums = originals.sums()
    files = tuple(MODULE._File(name, key, shape, sums[name]) for key, (name, shape) in zip(
        originals.KEYS, originals.SHAPES.items(), strict=True))
    monkeypatch.setattr(MODULE, "_FILES", files)
    monkeypatch.setattr(MODULE, "_MIRRORS", ("http://127.0.0.1:9/",))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KERASISH_DATA", raising=False)


def check(found) -> None:
    (x, y), (x_test, y_test) = found
    known = list(originals.arrays().values())
    for got, wanted in zip((x, y, x_test, y_test), known, strict=True):
        assert np.array_equal(got.numpy().reshape(wanted.shape), wanted)
    assert x.shape == (6, 1, 28, 28) and x.dtype == x_test.dtype == torch.uint8
    assert y.dtype == y_test.dtype == torch.int64


# ---- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False])
def test_the_four_files_are_read(tmp_path: Path, zipped: bool) -> None:
    originals.write(tmp_path / "here", zipped)
    check(datasets.mnist(tmp_path / "here"))
    check(datasets.mnist(str(tmp_path / "here")))


def test_the_archive_of_keras_is_read(tmp_path: Path) -> None:
    known = dict(zip(originals.KEYS, originals.arrays().values(), strict=True))
    np.savez_compressed(tmp_path / "mnist.npz", **known)
    check(datasets.mnist(tmp_path))
    check(datasets.mnist(tmp_path / "mnist.npz"))


def test_the_folder_for_data_comes_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    originals.write(tmp_path / "cache" / "kerasish" / "mnist")
    check(datasets.mnist())
    monkeypatch.setenv("KERASISH_DATA", str(tmp_path / "data"))
    check(datasets.mnist())  # nothing is there: the cache has it
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    (tmp_path / "data" / "mnist" / f"{FIRST}.gz").write_bytes(b"else")
    with pytest.raises(ValueError, match="data/mnist/train-images"):
        datasets.mnist()


def test_what_is_read_may_be_written_to(tmp_path: Path) -> None:
    originals.write(tmp_path)
    (x, _), _ = datasets.mnist(tmp_path)
    x += 1
    check(datasets.mnist(tmp_path))


# ---- what is refused ----------------------------------------------------------------------------


OTHERS = {  # by names: gzip writes the time, which no name of a test may hold
    "empty": (b"", "0 bytes instead of 4,720"),
    "cut off at once": (b"\x1f\x8b", "damaged or cut off"),
    "cut off late": (gzip.compress(bytes(4720))[:-9], "damaged or cut off"),
    "unfolds to more": (gzip.compress(bytes(10**7)), "more bytes instead of 4,720"),
    "blank": (gzip.compress(bytes(4720)), "other content: its SHA-256 is"),
    "blank, as it is": (bytes(4720), "other content"),
    "longer": (bytes(4721), "more bytes"),
    "damaged": (gzip.compress(bytes(4720))[:20] + b"damaged" * 9, "damaged or cut off|instead of"),
}


@pytest.mark.parametrize(("data", "says"), OTHERS.values(), ids=list(OTHERS))
def test_other_files_are_refused(tmp_path: Path, data: bytes, says: str) -> None:
    originals.write(tmp_path)
    (tmp_path / f"{FIRST}.gz").write_bytes(data)
    with pytest.raises(ValueError, match=rf"mnist\(path\).*original of .*{FIRST}.*({says})"):
        datasets.mnist(tmp_path)


def test_a_path_is_that_of_a_folder_or_of_an_archive_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*else\.npz"):
        datasets.mnist(tmp_path / "else.npz")
    with pytest.raises(TypeError, match=r"mnist\(path\) expects a path; got 3"):
        datasets.mnist(3)


def archive(path: Path, **changed) -> None:
    known = dict(zip(originals.KEYS, originals.arrays().values(), strict=True))
    np.savez(path, **{name: array for name, array in (known | changed).items()
                      if array is not None})


@pytest.mark.parametrize("changed", [
    {"y_test": None}, {"y_test": np.array([b"code", None, 1, 2], dtype=object)},
    {"x_train": np.zeros((6, 28, 28), np.uint8)}, {"x_train": np.zeros((6, 28, 28))},
    {"y_train": np.zeros((2, 3), np.uint8)}, {"y_train": np.uint8(3)},
])
def test_other_archives_are_refused(tmp_path: Path, changed: dict) -> None:
    archive(tmp_path / "mnist.npz", **changed)
    name = next(iter(changed))
    with pytest.raises(ValueError, match=rf"mnist\(path\).*archive.*for '{name}'"):
        datasets.mnist(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"anything"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "mnist.npz").write_bytes(data)
    with pytest.raises(ValueError, match=r"mnist\(path\) expects Keras' archive"):
        datasets.mnist(tmp_path)


def test_a_file_that_unfolds_to_much_more_is_not_unfolded() -> None:
    bomb = gzip.compress(bytes(3 * 10**7))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more bytes instead of 100"):
            unzipped(bomb, 100)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


# ---- downloading --------------------------------------------------------------------------------


class Mirror:
    """A server on loopback; what it answers may be changed by name."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = {f"{name}.gz": gzip.compress(data)
                        for name, data in originals.contents().items()}
        self.lengths: dict[str, int] = {}
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                mirror.asked.append(name)
                data = mirror.answers.get(name)
                if data is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(mirror.lengths.get(name, len(data))))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/mnist/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    server = Mirror()
    monkeypatch.setattr(MODULE, "_MIRRORS", (server.address,))
    yield server
    server.close()


def test_missing_files_are_downloaded_once(mirror: Mirror, tmp_path: Path) -> None:
    check(datasets.mnist())
    folder = tmp_path / "cache" / "kerasish" / "mnist"
    assert sorted(mirror.asked) == sorted(path.name for path in folder.iterdir())
    check(datasets.mnist())
    assert len(mirror.asked) == 4
    check(datasets.mnist(tmp_path / "given"))
    assert len(mirror.asked) == 8 and len(list((tmp_path / "given").iterdir())) == 4


@pytest.mark.parametrize(("change", "says"), [
    (lambda data: data[:-20], r"damaged or cut off"),
    (lambda data: gzip.compress(bytes(4720)), "other content"),
    (lambda data: b"<html>Sign in</html>", "20 bytes instead of 4,720"),
    (lambda data: None, "404"),
    (lambda data: bytes(10**8), "more than 67,108,864 bytes"),
])
def test_a_wrong_answer_leaves_no_file(mirror: Mirror, tmp_path: Path, change, says: str) -> None:
    mirror.answers[f"{FIRST}.gz"] = change(mirror.answers[f"{FIRST}.gz"])
    with pytest.raises(OSError, match=rf"download.*127\.0\.0\.1.*{says}.*put it into .*mnist"):
        datasets.mnist()
    folder = tmp_path / "cache" / "kerasish" / "mnist"
    assert not folder.exists() or not list(folder.iterdir())


def test_an_answer_that_ends_early_is_refused(mirror: Mirror) -> None:
    mirror.lengths[f"{FIRST}.gz"] = 10**6
    with pytest.raises(OSError, match=r"of 1,000,000|IncompleteRead"):
        datasets.mnist()


def test_the_next_mirror_is_asked(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "http://127.0.0.1:9/"
    monkeypatch.setattr(MODULE, "_MIRRORS", (nobody, mirror.address))
    check(datasets.mnist())


def test_without_a_network_it_says_where_the_files_go(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"refused.*Get it from elsewhere.*into .*cache.kerasish"):
        datasets.mnist()


def test_only_what_is_missing_is_downloaded(mirror: Mirror, tmp_path: Path) -> None:
    last = "t10k-labels-idx1-ubyte.gz"
    answer = mirror.answers.pop(last)
    with pytest.raises(OSError, match="404"):
        datasets.mnist()
    assert len(mirror.asked) == 4
    mirror.answers[last] = answer
    check(datasets.mnist())
    assert mirror.asked[4:] == [last]


# ---- the real digits ----------------------------------------------------------------------------


@needs_digits
def test_the_real_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (x, y), (x_test, y_test) = datasets.mnist(originals.real_folder())
    assert x.shape == (60_000, 1, 28, 28) and x_test.shape == (10_000, 1, 28, 28)
    assert y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert torch.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974,
                                               1009]
    model = Model(Flatten(), Linear(10), device="cpu")
    model.compile("adam", "sparse_categorical_crossentropy", metrics="accuracy")
    model.fit(x[:6000] / 255, y[:6000], epochs=2, verbose=0, seed=0)
    assert model.evaluate(x_test / 255, y_test, verbose=0, return_dict=True)["accuracy"] > 0.8
