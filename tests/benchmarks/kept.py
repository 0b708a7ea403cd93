"""The report in its file: written whenever something is measured, gone on with by a later run."""

import json
from pathlib import Path
from typing import Any

from kerasish.saving.writing import write_whole
from tests.benchmarks.workloads import WORKLOADS


class Kept:
    """A report, and the file it is kept in, if any.

    Args:
        about: when, where and how this run measures.
        path: the file; what it holds of an earlier run is gone on with.

    Raises: ValueError if the file is of another machine, of other versions or settings.
    """

    def __init__(self, about: dict[str, Any], path: Path | None) -> None:
        self.path = path
        self.report: dict[str, Any] = {"about": about, "workloads": {}, "memory": {}}
        if path is not None and path.exists():
            earlier = loaded("--json", path)
            self._check(earlier["about"])
            self.report = earlier | {"about": about}

    @classmethod
    def shown(cls, path: Path) -> "Kept":
        """What a file holds, as it is."""
        kept = cls({}, None)
        kept.report = loaded("--show", path)
        return kept

    def _check(self, earlier: dict[str, Any]) -> None:
        now = self.report["about"]
        for name in sorted({*now, *earlier} - {"date"}):
            if now.get(name) != earlier.get(name):
                raise ValueError(f"--json expects a file of the same machine, versions and "
                                 f"settings; got one with {name} {earlier.get(name)!r}, not "
                                 f"{now.get(name)!r}. Name another file.")

    def add(self, part: str, name: str, found: dict[str, Any]) -> None:
        """Keeps what was found about a workload, in the place of what was known before."""
        known = self.report[part] | {name: found}
        self.report[part] = {each: known[each] for each in WORKLOADS if each in known}
        self._write()

    def set(self, part: str, found: dict[str, Any]) -> None:
        """Keeps a part that is not about workloads."""
        self.report[part] = found
        self._write()

    def _write(self) -> None:
        if self.path is not None:
            text = json.dumps(self.report, indent=1, ensure_ascii=False) + "\n"
            write_whole(self.path, [text.encode()])


def loaded(option: str, path: Path) -> dict[str, Any]:
    """The report of a file.

    Raises: ValueError if there is none in it.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if {"about", "workloads", "memory"} <= set(report):
            return report
    except (OSError, ValueError, TypeError):
        pass
    raise ValueError(f"{option} expects a file that --json has written; got {str(path)!r}.")
