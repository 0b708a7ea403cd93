"""kerasish and its peers on the same nets, data and optimizers, measured in alternating rounds.

    python -m tests.benchmarks                          all of it, about half an hour
    python -m tests.benchmarks --json FILE --picture FILE.png
    python -m tests.benchmarks --workloads "disc, batch 1" LSTM --contestants kerasish "plain torch"
    python -m tests.benchmarks --parts memory import    no steps
    python -m tests.benchmarks --show FILE              prints what earlier runs measured
    python -m tests.benchmarks --small                  fails if kerasish has become slower
    python -m tests.benchmarks --quick                  a trial: each once on a few samples

Peers come with `pip install 'kerasish[bench]'`; those that are not installed are left out. Each
contestant has a process of its own, and only one computes at a time. Runs of some workloads with
the same FILE add up to one report; each workload is written as soon as it is measured.
"""

import sys

from tests.benchmarks import small
from tests.benchmarks.measuring import measure
from tests.benchmarks.picture import draw
from tests.benchmarks.report import text
from tests.benchmarks.settings import parsed


def main(arguments: list[str]) -> int:
    settings, kept = parsed(arguments, __doc__)
    if settings.small:
        return 1 if small.check() else 0
    if not settings.show:
        measure(settings, kept)
    print(text(kept.report))
    if settings.picture:
        draw(kept.report, settings.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
