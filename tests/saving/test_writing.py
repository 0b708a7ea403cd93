"""write_whole: whatever fails at whichever moment, the old file or the new one is there, whole."""

import errno
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from kerasish.saving import write_whole
from kerasish.saving.writing import _place

ROOT = Path(__file__).resolve().parent.parent.parent
OLD, NEW = b"old " * 1000, b"new " * 2000
AS_ROOT = os.geteuid() == 0

# A program that has only what writing needs: without torch it starts in an instant.
ALONE = f"""
import errno, os, sys, types
for name in ("kerasish", "kerasish.saving"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [os.path.join({str(ROOT)!r}, *name.split("."))]
from kerasish.saving.writing import write_whole
"""
SAVE = ALONE + """
os.access("/begin", os.F_OK)
try:
    write_whole(sys.argv[1], [b"new " * 1000, b"new " * 1000])
except OSError as error:
    assert error.filename == sys.argv[1], error
    print(errno.errorcode[error.errno])
os.access("/end", os.F_OK)
"""


def program(source: str, *arguments: object) -> list[str]:
    return [sys.executable, "-I", "-S", "-B", "-c", source, *map(str, arguments)]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def dead() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    child.wait()
    return child.pid


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- what is written ----------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [
    [], [b""], [b"one"], [b"", bytearray(b"one"), memoryview(b"two")],
    [memoryview(bytearray(16)).cast("d")], [b"x" * 3_000_000, b"y"]],
    ids=["none", "empty", "one", "of all kinds", "of numbers", "large"])  # fmt: skip
def test_the_file_holds_the_chunks(chunks, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for _ in range(2):
        write_whole(path, iter(chunks))
        assert path.read_bytes() == b"".join(map(bytes, chunks)) and names(tmp_path) == ["file"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_whole(str(tmp_path / "a" / "b" / "file"), [NEW])
    assert (tmp_path / "a" / "b" / "file").read_bytes() == NEW


def test_a_name_alone_is_written_in_the_current_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_whole("file", [NEW])
    assert names(tmp_path) == ["file"]


def test_a_system_that_takes_little_at_a_time_gets_all(tmp_path: Path, monkeypatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:999]))
    write_whole(tmp_path / "file", [NEW])
    assert (tmp_path / "file").read_bytes() == NEW


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "file", [NEW])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o666, 0o440])
def test_a_file_keeps_its_permissions(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    path.chmod(mode)
    write_whole(path, [NEW])
    assert path.read_bytes() == NEW and stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("old", [True, False], ids=["to a file", "to nothing yet"])
def test_a_link_stays_and_its_file_is_written(old: bool, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "file", tmp_path / "link"
    link.symlink_to("there/file")
    if old:
        target.write_bytes(OLD)
    write_whole(link, [NEW])
    assert link.is_symlink() and target.read_bytes() == NEW
    assert names(tmp_path) == ["link", "there"] and names(target.parent) == ["file"]


def test_the_old_file_goes_where_it_is_told_once_the_new_one_is_whole(
    tmp_path: Path, monkeypatch
) -> None:
    path, previous = tmp_path / "file", tmp_path / "previous"
    write_whole(path, [b"1"], previous)
    assert names(tmp_path) == ["file"]
    for number in (b"2", b"3"):
        write_whole(path, [number], previous)
    assert (path.read_bytes(), previous.read_bytes()) == (b"3", b"2")
    for wrong in ("fsync", "write", "close"):
        with monkeypatch.context() as patched, pytest.raises(OSError):
            patched.setattr(os, wrong, Failing(getattr(os, wrong), 1, OSError(errno.EIO, "no")))
            write_whole(path, [b"4"], previous)
        assert (path.read_bytes(), previous.read_bytes()) == (b"3", b"2")
        assert names(tmp_path) == ["file", "previous"]


# ---- what is refused ----------------------------------------------------------------------------


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(("make", "kind", "number"), [
    (Path.mkdir, "a folder", errno.EISDIR), (os.mkfifo, "a pipe", errno.EINVAL),
    (make_socket, "a socket", errno.EINVAL),
    (lambda path: path.symlink_to("/dev/null"), "a device", errno.EINVAL)],
    ids=["folder", "pipe", "socket", "device"])  # fmt: skip
def test_what_is_no_file_is_refused(make: Callable, kind: str, number: int, tmp_path: Path) -> None:
    path = Path(os.path.relpath(tmp_path)) / "it"  # the path of a socket must be short
    make(path)
    with pytest.raises(OSError, match=f"expects the path of a file; got {kind}") as caught:
        write_whole(path, [NEW])
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert names(tmp_path) == ["it"]


@pytest.mark.parametrize("path", ["", "new/", "."])
def test_a_path_that_ends_like_a_folder_is_one(path: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError, match="got a folder"):
        write_whole(path, [NEW])
    assert names(tmp_path) == []


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / "a", [NEW])
    assert caught.value.errno == errno.ELOOP and names(tmp_path) == ["a", "b"]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(NotADirectoryError, match="choose another place") as caught:
        write_whole(tmp_path / "file" / "sub" / "new", [NEW])
    assert caught.value.filename == str(tmp_path / "file" / "sub" / "new")


@pytest.mark.parametrize(("path", "wrong", "message"), [
    (None, TypeError, r"write_whole\(path\) expects a path; got None. Write 'net.safetensors'"),
    (3, TypeError, "expects a path; got 3"), (b"file", TypeError, "expects a path; got b'file'"),
    ("a\0b", ValueError, r"expects a path without '\\0'; got 'a\\x00b'. Take it out"),
])  # fmt: skip
def test_what_is_no_path_is_refused(path, wrong, message) -> None:
    with pytest.raises(wrong, match=message):
        write_whole(path, [NEW])


@pytest.mark.parametrize(("chunks", "got"), [
    ("text", "'t'"), (["text"], "'text'"), (b"data", "100"), ([None], "None"),
    ([memoryview(b"abcd")[::2]], "<memory")])  # fmt: skip
def test_chunks_are_bytes(chunks, got: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(TypeError, match=f"expects pieces of bytes; got {got}.*Write .data. for"):
        write_whole(tmp_path / "file", chunks)
    assert (tmp_path / "file").read_bytes() == OLD and names(tmp_path) == ["file"]


# ---- failures at every moment -------------------------------------------------------------------


class Failing:
    """A function of the system that fails at its k-th call."""

    def __init__(self, function: Callable, k: int, error: BaseException) -> None:
        self.function, self.left, self.error = function, k, error

    def __call__(self, *arguments, **settings):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.function(*arguments, **settings)


CALLS = {"stat": 1, "open": 1, "chmod": 1, "write": 3, "fsync": 1, "close": 1, "replace": 1}
MOMENTS = [(name, k) for name, count in CALLS.items() for k in range(1, count + 1)]


def chunks() -> Iterator[bytes]:
    yield from (NEW[:3000], NEW[3000:6000], NEW[6000:])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize(("name", "k"), MOMENTS)
def test_a_failed_call_leaves_the_old_file(
    name: str, k: int, number: int, tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    failing = Failing(getattr(os, name), k, OSError(number, os.strerror(number)))
    with monkeypatch.context() as patched:
        patched.setattr(os, name, failing)
        with pytest.raises(OSError, match=r"before is unchanged\. Make room, or choose") as caught:
            write_whole(path, chunks())
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert os.strerror(number) in str(caught.value)
    assert path.read_bytes() == OLD and names(tmp_path) == ["file"]


@pytest.mark.parametrize("wrong", [KeyboardInterrupt, MemoryError, SystemExit])
@pytest.mark.parametrize(("name", "k"), MOMENTS)
def test_an_interruption_leaves_the_old_file(
    name: str, k: int, wrong: type, tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with monkeypatch.context() as patched, pytest.raises(wrong):
        patched.setattr(os, name, Failing(getattr(os, name), k, wrong()))
        write_whole(path, chunks())
    assert path.read_bytes() == OLD and names(tmp_path) == ["file"]


@pytest.mark.parametrize("wrong", [ValueError, KeyboardInterrupt, OSError])
def test_chunks_that_fail_leave_the_old_file(wrong: type, tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield NEW
        raise wrong("of the chunks")

    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(wrong, match="of the chunks"):
        write_whole(tmp_path / "file", failing())
    assert (tmp_path / "file").read_bytes() == OLD and names(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_settled_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", Failing(os.fsync, 2, OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken; it is written, but may not outlast") as caught:
        write_whole(tmp_path / "file", [NEW])
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == NEW


def test_folders_that_know_no_sync_are_written_to(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", Failing(os.fsync, 2, OSError(errno.EINVAL, "unknown")))
    write_whole(tmp_path / "file", [NEW])
    assert (tmp_path / "file").read_bytes() == NEW


def test_file_and_folder_are_synced_in_this_order(tmp_path: Path, monkeypatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted(file: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file")
        fsync(file)

    def moved(source: str, target: str) -> None:
        done.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", moved)
    write_whole(tmp_path / "file", [NEW])
    assert done == ["file", "replace", "folder"]
    done.clear()
    write_whole(tmp_path / "new" / "file", [NEW])
    assert done == ["folder", "file", "replace", "folder"]


# ---- failures of the system itself --------------------------------------------------------------


@cache
def injection_missing() -> str:
    """Why calls of the system cannot be made to fail here, if so."""
    if shutil.which("strace") is None:
        return "strace is not there"
    done = run(["strace", "-f", "-e", "inject=fsync:error=EIO", *program(
        "import os\ntry:\n    os.fsync(1)\nexcept OSError as error:\n    print(error.errno)")])
    return "" if done.stdout.strip() == str(errno.EIO) else f"strace cannot: {done.stderr[-200:]}"


def traced(path: Path, log: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(["strace", "-f", "-o", str(log), *options, *program(SAVE, path)])


def moments(log: str) -> dict[str, list[int]]:
    """The calls of a save: name → which of all calls of that name they are."""
    counts: dict[str, int] = {}
    found: dict[str, list[int]] = {}
    inside = False
    for name, rest in re.findall(r"^\d+ +(\w+)\((.*)$", log, re.MULTILINE):
        counts[name] = counts.get(name, 0) + 1
        if '"/begin"' in rest or '"/end"' in rest:
            inside = '"/begin"' in rest
        elif inside:
            found.setdefault(name, []).append(counts[name])
    return found


UNTOUCHED = {"brk", "mmap", "munmap", "mremap", "rt_sigaction", "rt_sigreturn", "futex", "getpid",
             "exit_group", "access", "faccessat2", "faccessat", "madvise"}
"""Calls that are not about files; memory has its own tests."""


@pytest.mark.long
@pytest.mark.parametrize("inject", ["error=ENOSPC", "error=EIO", "signal=KILL"])
def test_every_call_of_the_system_may_fail(inject: str, tmp_path: Path) -> None:
    if missing := injection_missing():
        pytest.skip(missing)
    folder, log = tmp_path / "folder", tmp_path / "log"
    folder.mkdir()
    path = folder / "file"
    path.write_bytes(OLD)
    assert traced(path, log).stdout == "" and path.read_bytes() == NEW
    calls = {name: which for name, which in moments(log.read_text()).items()
             if name not in UNTOUCHED}
    assert {"write", "fsync", "close"} < calls.keys() and {"rename", "renameat"} & calls.keys()
    for name, which in calls.items():
        for k in which:
            path.write_bytes(OLD)
            done = traced(path, log, "-e", f"inject={name}:{inject}:when={k}")
            content = path.read_bytes()
            assert content in (OLD, NEW), (name, k)
            if inject == "signal=KILL":
                assert done.returncode == -signal.SIGKILL or done.returncode == 137, (name, k)
                write_whole(path, [NEW])
            else:
                assert done.returncode == 0, (name, k, done.stderr)
                settling = name in ("open", "openat", "fsync", "close", "fstat") and k == which[-1]
                told = done.stdout.strip()
                assert told in ("", inject.removeprefix("error=")), (name, k)
                assert (content == NEW) == (told == "" or settling), (name, k, told)
            assert names(folder) == ["file"], (name, k)


def in_a_small_disk(options: str, source: str, folder: Path) -> str:
    """Runs a program with a disk of 64 KiB on that folder, which nobody else sees."""
    mount = f"mount -t tmpfs -o size=64k tmpfs {folder} && cd {folder} && printf old > file"
    remount = f" && mount -o remount,{options} {folder}" if options else ""
    unshare = ["unshare", "-m"] if AS_ROOT else ["unshare", "-rm"]
    if shutil.which("unshare") is None or run([*unshare, "sh", "-c", mount]).returncode:
        pytest.skip("no disk can be mounted here")
    done = run([*unshare, "sh", "-c", f'{mount}{remount} && exec "$@"', "sh", *program(source)])
    assert done.returncode == 0, done.stderr
    return done.stdout


FULL = ALONE + """
try:
    write_whole("file", [b"x" * 100_000])
except OSError as error:
    print(errno.errorcode[error.errno], error.filename, os.listdir(), open("file").read())
"""


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    assert in_a_small_disk("", FULL, tmp_path) == "ENOSPC file ['file'] old\n"


def test_a_disk_that_may_only_be_read_keeps_the_old_file(tmp_path: Path) -> None:
    assert in_a_small_disk("ro", FULL, tmp_path) == "EROFS file ['file'] old\n"


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read_keeps_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError) as caught:
            write_whole(tmp_path / "file", [NEW])
    finally:
        tmp_path.chmod(0o700)
    assert caught.value.filename == str(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == OLD and names(tmp_path) == ["file"]


# ---- what others left behind, and what they are writing -----------------------------------------


def test_files_left_behind_by_the_dead_are_removed_and_no_others(tmp_path: Path) -> None:
    gone = dead()
    here, end = f".file.tmp-{_place()}-", "-0123456789abcdef"
    left_behind = [f"{here}{number}{end}" for number in (gone, os.getpid(), 10**30)]
    kept = [f"{here}{os.getppid()}{end}", f".other.tmp-{_place()}-{gone}{end}",
            f"{here[1:]}{gone}{end}", ".file.tmp-", f"{here}{gone}-xyz", f"{here}{gone}-ab.txt",
            ".file.tmp-x-ab"]  # fmt: skip
    for name in (*left_behind, *kept):
        (tmp_path / name).write_bytes(OLD)
    (tmp_path / f"{here}{gone}-abc").mkdir()  # it cannot be removed so, and stops nothing
    write_whole(tmp_path / "file", [NEW])
    assert names(tmp_path) == sorted([*kept, f"{here}{gone}-abc", "file"])


def test_what_another_machine_left_behind_goes_by_its_age(tmp_path: Path) -> None:
    young, old = (tmp_path / f".file.tmp-0123456789ab-{dead()}-{k}" for k in "12")
    for path, hours in ((young, 23), (old, 25)):
        path.write_bytes(OLD)
        os.utime(path, (0, time.time() - 3600 * hours))
    write_whole(tmp_path / "file", [NEW])
    assert names(tmp_path) == sorted([young.name, "file"])


@pytest.mark.parametrize("length", [180, 181, 227, 255])
def test_long_names_are_written_and_tidied_up(length: int, tmp_path: Path) -> None:
    path = tmp_path / ("n" * length)
    seen: list[str] = []

    def chunks() -> Iterator[bytes]:
        seen.extend(names(tmp_path))
        yield NEW

    write_whole(path, chunks())
    (temporary,) = seen
    left = temporary.replace(f"-{os.getpid()}-", f"-{dead()}-")
    (tmp_path / left).write_bytes(OLD)
    write_whole(path, [NEW])
    assert path.read_bytes() == NEW and names(tmp_path) == [path.name]


def test_a_process_of_another_user_lives(tmp_path: Path, monkeypatch) -> None:
    def refuse(number: int, what: int) -> None:
        raise PermissionError(errno.EPERM, "not yours")

    monkeypatch.setattr(os, "kill", refuse)
    (tmp_path / f".file.tmp-{_place()}-12345-ab").write_bytes(OLD)
    write_whole(tmp_path / "file", [NEW])
    assert names(tmp_path) == [f".file.tmp-{_place()}-12345-ab", "file"]


def test_a_folder_that_cannot_be_listed_is_written_to(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "listdir", Failing(os.listdir, 1, OSError(errno.EACCES, "no")))
    write_whole(tmp_path / "file", [NEW])
    assert (tmp_path / "file").read_bytes() == NEW


def test_a_name_with_signs_is_no_pattern(tmp_path: Path) -> None:
    other = tmp_path / f".abc.tmp-{_place()}-{dead()}-ab"
    other.write_bytes(OLD)
    write_whole(tmp_path / "a.c", [NEW])
    write_whole(tmp_path / "a*[c", [NEW])
    assert other.exists()


def test_a_save_of_the_same_file_within_a_save_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def outer() -> Iterator[bytes]:
        yield NEW
        write_whole(path, [OLD])
        assert path.read_bytes() == OLD and len(names(tmp_path)) == 2

    write_whole(path, outer())
    assert path.read_bytes() == NEW and names(tmp_path) == ["file"]


def is_one_version(content: bytes) -> bool:
    return len(content) == 50_000 and len(set(content)) == 1


def test_threads_that_write_one_path_leave_one_version(tmp_path: Path) -> None:
    path, failed = tmp_path / "file", []

    def write(letter: bytes) -> None:
        try:
            for _ in range(20):
                write_whole(path, [letter * 25_000, letter * 25_000])
                assert is_one_version(path.read_bytes())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == [] and is_one_version(path.read_bytes()) and names(tmp_path) == ["file"]


def test_processes_that_write_one_path_leave_one_version(tmp_path: Path) -> None:
    path = tmp_path / "file"
    source = ALONE + """
for _ in range(50):
    write_whole(sys.argv[1], [sys.argv[2].encode() * 25_000] * 2)
"""
    write_whole(path, [b"a" * 50_000])
    writers = [subprocess.Popen(program(source, path, letter)) for letter in "ab"]
    while any(writer.poll() is None for writer in writers):
        assert is_one_version(path.read_bytes())
    assert [writer.returncode for writer in writers] == [0, 0] and names(tmp_path) == ["file"]


def test_a_process_killed_at_any_time_leaves_one_version(tmp_path: Path) -> None:
    path = tmp_path / "file"
    source = ALONE + """
while True:
    print(flush=True)
    write_whole(sys.argv[1], [b"b" * 25_000] * 2)
"""
    for wait in range(1, 11):
        write_whole(path, [b"a" * 50_000])
        writer = subprocess.Popen(program(source, path), stdout=subprocess.PIPE)
        assert writer.stdout
        for _ in range(wait):
            writer.stdout.readline()
        writer.kill()
        writer.communicate()
        assert is_one_version(path.read_bytes())
    write_whole(path, [NEW])
    assert names(tmp_path) == ["file"]
