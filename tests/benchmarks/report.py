"""What was measured as text: printed by the command, shown in the README, kept as JSON.

A report is what JSON can hold: "about" (date, machine, versions, settings), "workloads" (by name,
of each contestant what `Entry.result` says), "memory" (bytes by workload) and "import".
"""

import argparse
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.contestants import CONTESTANTS, OURS

PACKAGES = ("torch", "keras", "jax", "poutyne", "skorch")


def about(settings: argparse.Namespace) -> dict[str, Any]:
    """When, where and how it is measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(), "machine": machine(),
        "vectors": vectors(),
        "rounds": settings.rounds, "seconds": settings.seconds, "threads": settings.threads,
        "quick": settings.quick, "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := version_of(name))},
    }


def machine() -> str:
    """The name of the processor, and how many of its cores there are here."""
    names = [line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo"))
             if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{os.cpu_count()} cores of {name}"


def vectors() -> str:
    """The widest vectors that torch computes with here: what a processor can do goes by them."""
    return torch.backends.cpu.get_cpu_capability()


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def text(report: dict[str, Any]) -> str:
    """All of it, each part with a heading."""
    workloads = report["workloads"]
    parts = [heading(report["about"]), *ratios(workloads), *times(workloads), *losses(workloads),
             *absences(workloads), *memory(report["memory"]), *importing(report.get("import"))]
    return "\n".join(line.rstrip() for line in parts)


def heading(said: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in said["versions"].items())
    threads = "one thread" if said["threads"] == 1 else f"{said['threads']} threads"
    how = ("a trial on a few samples" if said["quick"] else
           f"medians of {said['rounds']} alternating rounds")
    return (f"{said['date']}, {said['machine']} with {said['vectors']}, {threads}; "
            f"Python {said['python']}, {versions}; {how}")


def contestants_in(workloads: dict[str, Any]) -> list[str]:
    """Those that have a result in any of them."""
    return [name for name in CONTESTANTS if any("median" in results.get(name, {})
                                                for results in workloads.values())]


def ratios(workloads: dict[str, Any]) -> Iterator[str]:
    names = [name for name in contestants_in(workloads) if name != OURS]
    if not names:
        return
    yield ("\nTime of a step over kerasish's: above 1, kerasish is faster"
           "\n(± half the width of the middle half of rounds)")
    yield from table(["", *names], [
        [workload, *(_ratio(results.get(name, {})) for name in names)]
        for workload, results in workloads.items()])


def times(workloads: dict[str, Any]) -> Iterator[str]:
    names = contestants_in(workloads)
    if not names:
        return
    yield "\nMilliseconds a step, median; in brackets seconds of the first epoch, which compiles"
    yield from table(["", *names], [
        [workload, *(_time(results.get(name, {})) for name in names)]
        for workload, results in workloads.items()])


def losses(workloads: dict[str, Any]) -> Iterator[str]:
    """From the lowest to the highest of all contestants, who start from the same numbers."""
    found = {workload: [result["loss"] for result in results.values() if "loss" in result]
             for workload, results in workloads.items()}
    if any(found.values()):
        yield "\nMean loss of the first epoch: all train the same, in orders of their own"
    for workload, values in found.items():
        if values:
            yield f"{workload}: {min(values):.3f} to {max(values):.3f}"


def absences(workloads: dict[str, Any]) -> Iterator[str]:
    """Why there is no number, once a contestant and reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for workload, results in workloads.items():
        for name, result in results.items():
            if "absent" in result:
                found.setdefault((name, result["absent"]), []).append(workload)
    if found:
        yield "\nNot measured (-)"
    for (name, reason), where in found.items():
        places = "" if len(where) == len(workloads) else f" ({', '.join(where)})"
        yield f"{name}{places}: {reason}"


def memory(peaks: dict[str, Any]) -> Iterator[str]:
    if not peaks:
        return
    names = list(next(iter(peaks.values())))
    yield "\nPeak of live tensor bytes in a step, MB, and its share of torch tuned's"
    yield from table(["", *names], [
        [workload, *(f"{found[name] / 1e6:.1f} ({found[name] / found['torch tuned']:.2f})"
                     for name in names)]
        for workload, found in peaks.items()])


def importing(found: dict[str, Any] | None) -> Iterator[str]:
    if found:
        yield (f"\nimport kerasish {found['kerasish']:.2f} s, import torch {found['torch']:.2f} s: "
               f"ratio {found['ratio']:.3f} [{found['ratio_low']:.3f}-{found['ratio_high']:.3f}]")


def table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    """Columns as wide as they must be, the first one flush left."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([first.strip().ljust(widths[0]), *rest])


def _ratio(result: dict[str, Any]) -> str:
    if "ratio" not in result:
        return "-"
    ratio, low, high = (result[name] for name in ("ratio", "ratio_low", "ratio_high"))
    return f"{_short(ratio)} ±{(high - low) / 2 / ratio:.0%}"


def _time(result: dict[str, Any]) -> str:
    if "median" not in result:
        return "-"
    first = f" ({result['first']:.1f})" if result["first"] >= 1 else ""
    return f"{_short(result['median'] / 1000)}{first}"


def _short(number: float) -> str:
    """Three digits or so, without exponents."""
    places = 3 if number < 0.1 else 2 if number < 10 else 1 if number < 100 else 0
    return f"{number:.{places}f}"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
