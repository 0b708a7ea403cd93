"""A batch explained: as data, as text, and as a page that needs nothing else."""

import os
from collections.abc import Mapping
from html import escape
from types import MappingProxyType
from typing import Any, NamedTuple

from kerasish.insight.table import wrapped
from kerasish.saving.errors import FilePath, check_path
from kerasish.saving.writing import write_whole

FORWARD, LOSS, BACKWARD = "forward", "loss", "backward"

_LONGEST = 100
_TITLES = {FORWARD: "Forward", LOSS: "Loss", BACKWARD: "Backward"}


class ExplainedStep(NamedTuple):
    """One step on the way forth or back."""

    kind: str
    """"forward", "loss" or "backward"."""
    path: str
    """Of the module, "0.1"; of the parameter for what its regularizer adds; or ""."""
    name: str
    """The module, loss or regularizer."""
    formula: str = ""
    shapes: tuple[str, ...] = ()
    """Lines with live shapes: "dW (25, 2) = dyᵀ (25, 10) x (10, 2)"."""
    norms: Mapping[str, float] = MappingProxyType({})
    """The norm √Σ v² of y, of dy and dx, and of each parameter's gradient by the parameter's name;
    of a loss its value "L", and of a penalty "r"."""
    note: str = ""
    """What else there is to know: that the module is shared, say."""
    depth: int = 0
    """In how many containers it lies."""
    letters: Mapping[str, str] = MappingProxyType({})
    """What the formula calls the parameters."""

    @property
    def title(self) -> str:
        """Where and what it is."""
        return f"{self.path} {self.name}".strip()

    @property
    def numbers(self) -> list[str]:
        """The norms as text, "‖dW‖ 0.31"; values of a loss stand without bars."""
        return [_number(name, self.letters.get(name), value, self.kind)
                for name, value in self.norms.items()]


class Explanation(NamedTuple):
    """What `Model.explain` has seen; prints as a list, and is shown as a page in notebooks."""

    steps: list[ExplainedStep]

    def to_html(self, path: FilePath) -> None:
        """Writes a page that needs no other file; the file is there whole or not at all.

        Raises: ValueError for a name that does not end in .html or .htm; OSError when the system
        cannot do it.
        """
        name = check_path("Explanation.to_html(path)", path, "step.html")
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"Explanation.to_html(path) expects a name that ends in .html; got "
                             f"{name!r}. Write {stem + '.html'!r}: browsers show it.")
        page = ("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<meta name=\"viewport\" content=\"width=device-width\">"
                "<title>One batch, forth and back</title></head>"
                f"<body style=\"margin:0\">{self._repr_html_()}</body></html>\n")
        write_whole(name, [page.encode()])

    def __repr__(self) -> str:
        return f"<Explanation of {len(self.steps)} steps>"

    def __str__(self) -> str:
        lines: list[str] = []
        for kind, title in _TITLES.items():
            lines += ["", title] if lines else [title]
            for step in self.steps:
                if step.kind == kind:
                    lines += _text(step)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<style>{_STYLE}</style><div class=\"kerasish-explain\">"]
        for kind, title in _TITLES.items():
            steps = "".join(_html(step) for step in self.steps if step.kind == kind)
            parts.append(f"<section class=\"{kind}\"><h2>{title}</h2>{steps}</section>")
        return "".join([*parts, "</div>"])


def _text(step: ExplainedStep) -> list[str]:
    indent = "  " * (step.depth + 1)
    note = f"   ({step.note})" if step.note else ""
    rows = [f"{indent}{step.title}   {step.formula}{note}"]
    rows += [f"{indent}    {line}" for line in step.shapes]
    if step.norms:
        rows.append(f"{indent}    {'   '.join(step.numbers)}")
    return [line for row in rows for line in wrapped(row, _LONGEST)]


def _html(step: ExplainedStep) -> str:
    note = f"<em>{escape(step.note)}</em>" if step.note else ""
    shapes = "".join(f"<div>{escape(line)}</div>" for line in step.shapes)
    numbers = "".join(f"<b>{escape(each)}</b>" for each in step.numbers)
    return (f"<article style=\"margin-left:{1.5 * step.depth:g}rem\"><header>"
            f"<strong>{escape(step.title)}</strong><code>{escape(step.formula)}</code>{note}"
            f"</header><pre>{shapes}</pre><p>{numbers}</p></article>")


def _number(name: str, letter: Any, value: float, kind: str) -> str:
    if kind == LOSS:
        return f"{name} = {value:.4g}"
    if letter is not None:
        name = f"d{letter}"
    elif not name.startswith(("d", "y")):
        name = f"d {name}"
    return f"‖{name}‖ {value:.3g}"


_STYLE = """
.kerasish-explain{--ink:#1f2328;--soft:#59636e;--page:#fff;--card:#f6f8fa;--line:#d1d9e0;
--forward:#0a6cc4;--loss:#8a4b00;--backward:#a02060;color:var(--ink);background:var(--page);
font:14px/1.45 system-ui,sans-serif;padding:1rem;max-width:60rem;margin:auto}
@media (prefers-color-scheme:dark){.kerasish-explain{--ink:#e6edf3;--soft:#9aa5b1;--page:#0d1117;
--card:#161b22;--line:#30363d;--forward:#6cb6ff;--loss:#f0b072;--backward:#ff8fbf}
html:has(>body>.kerasish-explain){background:#0d1117}}
.kerasish-explain h2{font-size:1.1rem;margin:1rem 0 .4rem;color:var(--c)}
.kerasish-explain .forward{--c:var(--forward)}.kerasish-explain .loss{--c:var(--loss)}
.kerasish-explain .backward{--c:var(--backward)}
.kerasish-explain article{background:var(--card);border:1px solid var(--line);
border-left:4px solid var(--c);border-radius:6px;padding:.4rem .7rem;margin:.35rem 0}
.kerasish-explain header{display:flex;flex-wrap:wrap;gap:.2rem 1rem;align-items:baseline}
.kerasish-explain code,.kerasish-explain pre{font:13px/1.5 ui-monospace,monospace;color:var(--ink);
background:none;border:0;padding:0}
.kerasish-explain code{color:var(--c);white-space:pre-wrap}.kerasish-explain em{color:var(--soft)}
.kerasish-explain pre{margin:.15rem 0;white-space:pre-wrap;color:var(--soft)}
.kerasish-explain p{margin:.1rem 0;display:flex;flex-wrap:wrap;gap:.1rem 1.2rem}
.kerasish-explain b{font-weight:600;font-variant-numeric:tabular-nums}
"""
