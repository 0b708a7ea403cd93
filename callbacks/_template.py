"""Names of files that say which epoch they are of: a template, checked before training."""

import math
from string import Formatter

from kerasish.types import Logs

from ._monitor import instead


class Template:
    """Text with `{epoch}`, `{batch}` and logged names in braces.

    Args:
        who: the argument that it is, for errors.
        text: the template.
    """

    def __init__(self, who: str, text: str) -> None:
        self.who, self.text = who, text

    def filled(self, epoch: int, batch: int, logs: Logs | None) -> str:
        """The name at an epoch and a batch, counted from 0; nan for what is not logged there.

        Raises: ValueError for a logged value that its format does not fit.
        """
        logged = {name: (logs or {}).get(name, math.nan) for name in self._names()}
        values = {**logged, "epoch": epoch + 1, "batch": batch + 1}
        try:
            return self.text.format(**values)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.who} expects formats that fit what is logged; got "
                             f"{self.text!r} for {logged}: {error}. Leave the name out, or log a "
                             "number.") from error

    def check(self, known: tuple[str, ...], is_open: bool) -> None:
        """Refuses what could not be filled in.

        Raises: ValueError naming it.

        Args:
            known: the names that are logged.
            is_open: whether others may be, too.
        """
        try:
            names = self._names()
            self.text.format(**dict.fromkeys(names, 0.5) | {"epoch": 1, "batch": 1})
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise ValueError(
                f"{self.who} expects names in braces, with formats that fit: of whole numbers for "
                f"epoch and batch, of others for what is logged; got {self.text!r}: {error}. Write "
                "'{epoch:03d}' or '{loss:.3f}', for instance."
            ) from error
        known = ("epoch", "batch", *known)
        for name in names:
            if name not in known and not is_open:
                raise ValueError(f"{self.who} expects 'epoch', 'batch' or names that are logged in "
                                 f"braces; got {name!r} in {self.text!r}. {instead(name, known)}")

    def _names(self) -> list[str]:
        return [name for _, name, _, _ in Formatter().parse(self.text) if name is not None]
