"""The formulas that modules declare, as they hold for one of them, and with live shapes."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from kerasish.parameter import Parameter
from kerasish.trees import is_shape

LETTERS = {
    "W": "weight", "w": "weight", "γ": "weight", "b": "bias", "β": "bias",
    "W_ih": "weight_ih_l0", "W_hh": "weight_hh_l0", "b_ih": "bias_ih_l0", "b_hh": "bias_hh_l0",
    "Wo": "out_proj_weight", "bo": "out_proj_bias",
}
"""What formulas call parameters."""

_BETWEEN = ",  "
"""What stands between the formulas of several gradients."""
_SYMBOL = re.compile(r"(?<![\w'])(d?[^\W\d_]+(?:\d|_[a-z]+)?)(ᵀ?)(?![\w'ᵀ])")
_INDEX = re.compile(r"(?<=\w)(?:_[ijkoc](?!\w)|\[(?!x\])[^\]]*\])|ᵢ")
"""Of which element a formula speaks; shapes are those of all. An x chooses, and is told."""
_SIGNS = {"Σ", "+", "·", "⋆", "⋆ᵀ"}


class Formulas(NamedTuple):
    """What a module computes on the way forth and back."""

    forward: str
    backward: tuple[str, ...]
    """One for each gradient."""


def formulas_of(module: Any) -> Formulas:
    """The formulas of a module or a loss, without the parameters that it does not have.

    They are believed where they stand beside the methods that they speak of: a subclass with a
    forward or a backward of its own has to say what it computes.

    Example:
        >>> from kerasish.layers import Linear
        >>> layer = Linear(2, bias=False)
        >>> shape = layer.build((3,))
        >>> formulas_of(layer)
        Formulas(forward='y = x Wᵀ', backward=('dx = dy W', 'dW = dyᵀ x'))
    """
    name = type(module).__name__
    forward = _declared(module, "formula", "forward") or f"y = forward(x) of {name}"
    backward = _declared(module, "backward_formula", "backward") or f"dx = backward(dy) of {name}"
    missing = [letter for letter, name in LETTERS.items() if vars(module).get(name, "") is None]
    parts = backward.split(_BETWEEN)
    for letter in missing:
        parts = [part for part in parts if not part.startswith(f"d{letter} =")]
    return Formulas(_without(missing, forward), tuple(_without(missing, part) for part in parts))


def letters_of(module: Any) -> dict[str, str]:
    """The letters of a module's own parameters: name → letter, where formulas have one.

    Example:
        >>> from kerasish.layers import Linear
        >>> layer = Linear(2)
        >>> shape = layer.build((3,))
        >>> letters_of(layer)
        {'weight': 'W', 'bias': 'b'}
    """
    told = " ".join([type(module).formula, type(module).backward_formula])
    used = {symbol for symbol, _ in _SYMBOL.findall(told)}
    return {name: letter for letter, name in LETTERS.items()
            if isinstance(vars(module).get(name), Parameter) and {letter, f"d{letter}"} & used}


def with_shapes(formula: str, shapes: Mapping[str, Any], held: set[str]) -> str:
    """A formula with the shape after each tensor; "" if it says nothing about any of these.

    Products and sums keep their form; of others the tensors are listed.

    Args:
        formula: "left = right".
        shapes: of each tensor by its symbol.
        held: the symbols of parameters. Others are seen as rows where one of them is transposed.

    Example:
        >>> with_shapes("dW = dyᵀ x", {"dW": (2, 3), "dy": (5, 2), "x": (5, 3)}, {"W"})
        'dW (2, 3) = dyᵀ (2, 5) x (5, 3)'
        >>> with_shapes("dx = dy (1 - y²)", {"dx": (5, 2), "dy": (5, 2), "y": (5, 2)}, set())
        'dx (5, 2) from dy (5, 2), y (5, 2)'
    """
    left, equals, right = _INDEX.sub("", formula).partition(" = ")
    if not equals or left not in shapes:
        return ""
    target = f"{left} {shown(shapes[left])}"
    words = right.partition(" over ")[0].split()
    if all(word in _SIGNS or word.removesuffix("ᵀ") in shapes for word in words):
        in_rows = any(word.endswith("ᵀ") and word not in _SIGNS and word[:-1] not in held
                      for word in words)
        seen = {symbol: shape if symbol in held or not in_rows else _rows(shape)
                for symbol, shape in shapes.items()}
        return f"{target} = {' '.join(_word(word, seen) for word in words)}"
    found = dict.fromkeys(symbol for symbol, _ in _SYMBOL.findall(_spread(right))
                          if symbol in shapes)
    listed = ", ".join(f"{symbol} {shown(shapes[symbol])}" for symbol in found)
    return f"{target} from {listed}" if listed else target


def shown(shape: Any) -> str:
    """A shape, or several in their structure, as text.

    Example:
        >>> shown({"a": (2, 3), "b": ((4,), None)})
        '{a: (2, 3), b: ((4,), none)}'
    """
    if shape is None:
        return "none"
    if isinstance(shape, dict):
        return "{" + ", ".join(f"{name}: {shown(part)}" for name, part in shape.items()) + "}"
    if is_shape(tuple(shape)):
        return str(tuple(shape))
    return f"({', '.join(map(shown, shape))})"


def _declared(module: Any, what: str, method: str) -> str:
    line = type(module).__mro__
    declares, does = (next(index for index, cls in enumerate(line) if name in vars(cls))
                      for name in (what, method))
    return getattr(type(module), what) if declares <= does else ""


def _without(letters: list[str], formula: str) -> str:
    for letter in letters:
        formula = re.sub(rf" \+ {letter}(?!\w)|(?<![\w'^]){letter} (?=[\w(])", "", formula)
    return formula


def _word(word: str, shapes: Mapping[str, Any]) -> str:
    if word in _SIGNS:
        return word
    shape = shapes[word.removesuffix("ᵀ")]
    if word.endswith("ᵀ") and is_shape(tuple(shape)):
        shape = tuple(shape)[::-1]
    return f"{word} {shown(shape)}"


def _rows(shape: Any) -> Any:
    """All axes but the last as one."""
    if not is_shape(tuple(shape)) or len(shape) < 3:
        return shape
    count = 1
    for size in shape[:-1]:
        count *= size
    return count, shape[-1]


def _spread(text: str) -> str:
    """Powers and hats off, so that symbols stand alone."""
    return re.sub(r"[²³^̂]", " ", text)
