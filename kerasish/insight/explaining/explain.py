"""One batch on its way forth and back, written down step by step."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kerasish.containers import Sequential
from kerasish.differentiable import is_saving
from kerasish.insight.batch import ready_batch, require_loss
from kerasish.insight.explaining.explanation import (
    BACKWARD,
    FORWARD,
    LOSS,
    ExplainedStep,
    Explanation,
)
from kerasish.insight.explaining.formulas import formulas_of, letters_of, shown, with_shapes
from kerasish.insight.twin import twin
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.paths import penalized, values, walk
from kerasish.training import mode
from kerasish.trees import leaves, shape_of
from kerasish.watching import Place, Watch


def explain(model: Any, x: Any, y: Any = None, sample_weight: Any = None) -> Explanation:
    """What `Model.explain` does, which describes the arguments."""
    require_loss("Model.explain", model)
    with twin(model) as copied:
        x, y, sample_weight = ready_batch(copied, "explain", x, y, sample_weight)
        copied.module.zero_grad()
        with mode(copied.module.modules(), training=True), _Steps(copied.module) as steps:
            y_pred = copied.module.forward(x)
            value = copied.loss.forward(y_pred, y, sample_weight)
            given = {"y_pred": y_pred, "y_true": y, "sample_weight": sample_weight}
            steps.add_loss(copied, value, given)
            dy = copied.loss.backward()
            steps.add_loss_backward(copied.loss, dy)
            copied.module.backward(dy)
        steps.add_penalties_backward(copied.module)
        return Explanation(steps.steps)


class _Steps(Watch):
    """Writes down what it sees, containers before their parts; a Sequential on top is left out.

    Args:
        module: the net, built.
    """

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        self.steps: list[ExplainedStep] = []
        self._known = {place.path: _Known(place.module) for place in self.places}
        self._places: dict[int, list[str]] = {}
        for path, part in walk(module):
            self._places.setdefault(id(part), []).append(path)
        own = any(values(module, Parameter))
        self._frame = {""} if type(module) is Sequential and len(module) and not own else set()
        self._depth = 0
        self._uses: Counter[str] = Counter()
        self._given: dict[str, list[dict[str, Any]]] = {}

    def __enter__(self) -> "_Steps":
        self.start()
        return self

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        if place.path in self._frame:
            return call(x)
        known, at, again = self._known[place.path], self._begin(place), self._goes_back
        y = call(x)
        self._depth -= 1
        shapes = {**_shapes("x", x), **_shapes("y", y)}
        if is_saving():
            self._given.setdefault(place.path, []).append(shapes)
        if not again:
            self._uses[place.path] += 1
        note = "computed again" if again else self._sharing(place)
        lines = _lines([known.formulas.forward], {**shapes, **known.shapes()}, known.held)
        if not lines:  # its formula is about what is inside
            lines = [f"y {shown(shape_of(y))} from x {shown(shape_of(x))}"]
        self._end(at, place, BACKWARD if again else FORWARD, known.formulas.forward, lines,
                  {"y": _norm(y)}, note)
        return y

    def backward(self, place: Place, dy: Any, call: Callable[[Any], Any]) -> Any:
        if place.path in self._frame:
            return call(dy)
        known, at = self._known[place.path], self._begin(place)
        shapes = {**self._given[place.path].pop(), **_shapes("dy", dy)}
        norms = {"dy": _norm(dy)}
        before = [(name, each, each.grad.clone())
                  for name, each in values(place.module, Parameter)]
        dx = call(dy)
        self._depth -= 1
        shapes |= {**_shapes("dx", dx), **known.shapes()}
        norms |= {} if dx is None else {"dx": _norm(dx)}
        norms |= {name: _norm(each.grad - old) for name, each, old in before if each.trainable}
        lines = _lines(known.formulas.backward, shapes, known.held)
        if dx is None:
            lines.append("dx: none")
        frozen = [name for name, each, _ in before if not each.trainable]
        self._end(at, place, BACKWARD, ",  ".join(known.formulas.backward), lines, norms,
                  self._adding(place), known.letters, frozen)
        return dx

    def add_loss(self, model: Any, value: Tensor, given: dict[str, Any]) -> None:
        """The loss, then each penalty, and what they come to."""
        loss, total = model.loss, float(value)
        shapes = ", ".join(f"{name} {shown(shape_of(each))}" for name, each in given.items()
                           if each is not None)
        parts = {name: float(part) for name, part in loss.values.items()}
        self.steps.append(ExplainedStep(LOSS, "", repr(loss), formulas_of(loss).forward, (shapes,),
                                        {**parts, "L": total}))
        penalties = list(penalized(model.module))
        for path, parameter in penalties:
            penalty = float(parameter.regularizer.penalty(parameter.data))
            total += penalty
            self.steps.append(ExplainedStep(
                LOSS, path, repr(parameter.regularizer), parameter.regularizer.formula,
                (f"w {shown(parameter.shape)}",), {"r": penalty}))
        if penalties:
            self.steps.append(ExplainedStep(LOSS, "", "in all", "L + Σ r", (), {"L": total}))

    def add_loss_backward(self, loss: Any, dy: Any) -> None:
        """Where the way back begins."""
        self.steps.append(ExplainedStep(
            BACKWARD, "", repr(loss), ",  ".join(formulas_of(loss).backward),
            (f"dy_pred {shown(shape_of(dy))}",), {"dy_pred": _norm(dy)}))

    def add_penalties_backward(self, module: Module) -> None:
        """What regularizers add to gradients after the way back."""
        for path, parameter in penalized(module):
            gradient = parameter.regularizer.gradient(parameter.data)
            self.steps.append(ExplainedStep(
                BACKWARD, path, repr(parameter.regularizer), "dw += dr/dw",
                (f"dw {shown(parameter.shape)}",),
                {"dr": _norm(gradient), "dw": _norm(parameter.grad + gradient)}))

    @property
    def _goes_back(self) -> bool:
        return any(step.kind == BACKWARD for step in self.steps)

    def _begin(self, place: Place) -> int:
        """Keeps a place in the list for what is known only afterwards."""
        self.steps.append(ExplainedStep(BACKWARD if self._goes_back else FORWARD, place.path, ""))
        self._depth += 1
        return len(self.steps) - 1

    def _end(
        self, at: int, place: Place, kind: str, formula: str, lines: list[str],
        norms: dict[str, float], note: str, letters: Any = None, frozen: Any = (),
    ) -> None:
        """Fills the place; lines about what is frozen say so."""
        letters = letters or {}
        names = {f"d{letters[name]} " for name in frozen if name in letters}
        lines = [line for line in lines if not any(line.startswith(name) for name in names)]
        lines += [f"d{letters.get(name, f' {name}')}: frozen" for name in frozen]
        self.steps[at] = ExplainedStep(kind, place.path, self._known[place.path].name, formula,
                                       tuple(lines), norms, note, self._depth, letters)

    def _sharing(self, place: Place) -> str:
        others = [path for path in self._places[id(place.module)] if path != place.path]
        uses = self._uses[place.path]
        if uses > 1:
            return f"use {uses} of the same module"
        return f"shared, also at {', '.join(others)}" if others else ""

    def _adding(self, place: Place) -> str:
        uses, left = self._uses[place.path], len(self._given[place.path])
        if uses == 1 or not any(values(place.module, Parameter)):
            return ""
        return "adds to the gradients of the uses after it" if left + 1 < uses else (
            "the uses before it will add to its gradients")


class _Known:
    """What does not change from call to call."""

    def __init__(self, module: Module) -> None:
        self.module, self.name = module, repr(module)
        if any(True for _ in module.children()):
            self.name = type(module).__name__
        self.formulas, self.letters = formulas_of(module), letters_of(module)
        own = self.letters.values()
        self.held = {*own, *(f"d{letter}" for letter in own)}

    def shapes(self) -> dict[str, Any]:
        """Of its own parameters and their gradients, by their letters."""
        own = {letter: getattr(self.module, name).shape for name, letter in self.letters.items()}
        return {**own, **{f"d{letter}": shape for letter, shape in own.items()}}


def _shapes(name: str, tree: Any) -> dict[str, Any]:
    """The shape of a tensor; of several together and one by one, x1 being the first."""
    if tree is None:
        return {}
    if isinstance(tree, Tensor):
        return {name: tree.shape}
    parts = list(tree.values() if isinstance(tree, dict) else tree)
    each = {f"{name}{number}": part.shape for number, part in enumerate(parts, 1)
            if isinstance(part, Tensor)}
    return {name: shape_of(tree), **each}


def _lines(formulas: Any, shapes: dict[str, Any], held: set[str]) -> list[str]:
    return [line for line in (with_shapes(each, shapes, held) for each in formulas) if line]


def _norm(tree: Any) -> float:
    """√Σ v² over all floating numbers, summed up in float64."""
    parts = [part for part in leaves(tree) if part.is_floating_point()]
    squares = (torch.linalg.vector_norm(part, dtype=torch.float64).square() for part in parts)
    return float(sum(squares, start=torch.zeros((), dtype=torch.float64)).sqrt())
