"""The ratios as bars: a panel for each workload, all on one logarithmic axis."""

from pathlib import Path
from typing import Any

from kerasish.plots.figure import COLORS, GREY, INK, new_figure, save_picture
from tests.benchmarks.contestants import CONTESTANTS, OURS
from tests.benchmarks.report import heading

COLUMNS = 3


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the picture."""
    workloads = report["workloads"]
    rows = -(-len(workloads) // COLUMNS)
    figure = new_figure(4.2 * COLUMNS, 0.6 + 2.3 * rows)
    panels = list(figure.subplots(rows, COLUMNS, squeeze=False, sharex=True).flat)
    for axes, (name, results) in zip(panels, workloads.items(), strict=False):
        panel(axes, name, results)
    for axes in panels[len(workloads):]:
        axes.set_visible(False)
    figure.suptitle("Time of a training step, as a multiple of kerasish's (logarithmic)",
                    color=INK, fontsize=13)
    figure.supxlabel(heading(report["about"]), color=INK, fontsize=7)
    save_picture("--picture", figure, path, "benchmarks.png")


def panel(axes: Any, name: str, results: dict[str, Any]) -> None:
    """One workload: who takes longer than kerasish has a bar to the right of 1."""
    bars = {each: results[each]["ratio"] for each in CONTESTANTS
            if "ratio" in results.get(each, {})}
    places = range(len(bars))
    colors = [COLORS[0] if ratio >= 1 else COLORS[1] for ratio in bars.values()]
    axes.barh(places, [ratio - 1 for ratio in bars.values()], left=1, color=colors, height=0.7)
    for place, ratio in zip(places, bars.values(), strict=True):
        axes.annotate(f"{ratio:.3g}", (max(1, ratio), place), (3, 0), va="center", fontsize=8,
                      textcoords="offset points", color=INK)
    axes.set_xscale("log", subs=[])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(places, bars, fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.grid(axis="x", color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.margins(x=0.15)
    ours = results.get(OURS, {})
    time = f"  (kerasish {ours['median'] / 1000:.3g} ms)" if "median" in ours else ""
    axes.set_title(f"{name}{time}", color=INK, fontsize=9, loc="left")
