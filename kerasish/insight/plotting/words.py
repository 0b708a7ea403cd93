"""What is written into the picture of a net, and how much room it takes."""

import unicodedata
from typing import NamedTuple

from kerasish.insight.structure import Box, Structure, Value
from kerasish.insight.wording import shape_in_words, title_of

TITLE, NOTE = 13.0, 11.0
"""The sizes of letters: titles, and all else."""
_LETTER = 0.602
"""The width of a typewriter's letter, in sizes."""
_LONGEST = 48


class Words(NamedTuple):
    """What is said about boxes and arrows.

    Args:
        structure: the net.
        show_shapes: whether arrows have shapes.
        show_layer_names: whether boxes have their names, "0" or "body".
    """

    structure: Structure
    show_shapes: bool
    show_layer_names: bool

    def name(self, box: Box) -> str:
        """Where a module is in its frame."""
        return _shortened(box.name) if self.show_layer_names and box.module else ""

    def kind(self, box: Box) -> str:
        """The class of a module; the name of an input or output."""
        return _shortened(type(box.module).__name__ if box.module else box.name)

    def settings(self, box: Box) -> str:
        """What a module was made with, as it is written."""
        shown = title_of(box.module) if box.module and not box.parts else ""
        return _shortened(shown.removeprefix(type(box.module).__name__))

    def note(self, box: Box) -> str:
        """What is to be known of it besides: its parameters, and what it shares."""
        if box.parts or not box.module:
            return f"call {box.call} of {box.calls}" if box.calls > 1 else ""
        own = [parameter for _, parameter in box.parameters()]
        if not own:
            return ""
        count = sum(parameter.data.numel() for parameter in own)
        words = [f"{count:,} parameter{'' if count == 1 else 's'}"]
        others = [each for each in self.structure.sharing(box) if each is not box]
        if others:
            elsewhere = others[0].path not in ("", box.path)
            words.append(f"shared with {others[0].path}" if elsewhere else "shared")
        frozen = [parameter for parameter in own if not parameter.trainable]
        if frozen:
            words.append("frozen" if len(frozen) == len(own) else "partly frozen")
        return ", ".join(words)

    def label(self, value: Value) -> str:
        """The shape of what an arrow carries."""
        return shape_in_words(value.shape) if self.show_shapes else ""

    def title_width(self, box: Box) -> float:
        """How wide its first line is."""
        name = f"{self.name(box)} " if self.name(box) else ""
        return width_of(name + self.kind(box), TITLE) + width_of(self.settings(box), NOTE)

    def told(self, box: Box) -> str:
        """What is shown when one points at a box."""
        if not box.module:
            return box.name
        return f"{box.path} {title_of(box.module)}: {box.module.formula}".strip()


def width_of(text: str, size: float) -> float:
    """How wide a text is, in a typewriter's letters; those of the East take two places."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return (len(text) + wide) * _LETTER * size


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
