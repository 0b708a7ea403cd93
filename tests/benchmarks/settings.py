"""What the command is asked for: its arguments, checked before anything is measured."""

import argparse
from pathlib import Path

from kerasish.registry import nearest
from tests.benchmarks.contestants import CONTESTANTS, OURS
from tests.benchmarks.kept import Kept
from tests.benchmarks.report import about
from tests.benchmarks.workloads import WORKLOADS

PARTS = ("steps", "memory", "import")
LEAST_ROUNDS = 4


def parsed(arguments: list[str], text: str) -> tuple[argparse.Namespace, Kept]:
    """The settings, and the report to go on with; text is what --help says first.

    What is wrong ends the program.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=text,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", metavar="NAME", help=", ".join(WORKLOADS))
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help=", ".join(CONTESTANTS))
    parser.add_argument("--parts", nargs="+", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=7, help=f"{LEAST_ROUNDS} or more")
    parser.add_argument("--seconds", type=float, default=0.4, help="of a round, about")
    parser.add_argument("--threads", type=int, default=1, help="that each may compute with")
    parser.add_argument("--quick", action="store_true",
                        help="two batches of four samples an epoch: whether all of it runs")
    parser.add_argument("--json", type=Path, metavar="FILE",
                        help="where the numbers go; what it holds of other workloads stays there")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="where the bars go")
    parser.add_argument("--show", type=Path, metavar="FILE", help="a file that --json has written")
    parser.add_argument("--small", action="store_true", help="the check against the README")
    found = parser.parse_args(arguments)
    if found.quick:
        found.rounds, found.seconds = LEAST_ROUNDS, 0.01
    try:
        found.workloads = chosen("workloads", found.workloads, tuple(WORKLOADS))
        found.contestants = chosen("contestants", found.contestants, tuple(CONTESTANTS))
        found.parts = chosen("parts", found.parts, PARTS)
        check(found)
        kept = Kept.shown(found.show) if found.show else Kept(about(found), found.json)
    except ValueError as error:
        parser.error(str(error))
    return found, kept


def chosen(kind: str, names: list[str] | None, known: tuple[str, ...]) -> list[str]:
    """Those of the known names that are asked for, in their own order; None asks for all.

    Raises: ValueError naming one that is not known, with the nearest ones.
    """
    for name in names or ():
        if name not in known:
            raise ValueError(f"--{kind} expects names that are known; got {name!r}. "
                             f"{nearest(name, known)}")
    return [name for name in known if names is None or name in names]


def check(found: argparse.Namespace) -> None:
    """Refuses what would be found out after a quarter of an hour."""
    if found.rounds < LEAST_ROUNDS:
        raise ValueError(f"--rounds expects {LEAST_ROUNDS} or more, for quartiles; got "
                         f"{found.rounds}.")
    if found.threads < 1:
        raise ValueError(f"--threads expects 1 or more; got {found.threads}.")
    if not found.seconds > 0:
        raise ValueError(f"--seconds expects more than 0; got {found.seconds}.")
    if OURS not in found.contestants:
        raise ValueError(f"--contestants expects {OURS!r} among them: the others are compared with "
                         f"it; got {', '.join(map(repr, found.contestants))}.")
    for name in ("json", "picture"):
        path = getattr(found, name)
        if path is not None and not path.absolute().parent.is_dir():
            raise ValueError(f"--{name} expects a file in a folder that exists; got {str(path)!r}.")
    if found.picture is not None and found.picture.suffix not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--picture expects a name that ends in .png, .svg or .pdf; got "
                         f"{str(found.picture)!r}.")
