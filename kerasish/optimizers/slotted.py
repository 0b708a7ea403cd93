"""What an optimizer keeps beside the weights: vectors laid out as these, all of them or a share."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.optimizers.flat import FlatParameters
from kerasish.optimizers.shares import Exchange, Shares, all_of
from kerasish.optimizers.state import load_state, state_of
from kerasish.parameter import Parameter


class Slotted:
    """The slots of an optimizer, and who keeps them."""

    elementwise: ClassVar[bool] = True
    """Whether `update` treats each element by itself, whatever parameter it belongs to."""
    built: bool
    flats: list[FlatParameters]
    clipnorm: float | None
    use_ema: bool
    state: dict[FlatParameters, dict[str, Tensor]]
    """The vectors of each flat vector, by their names."""
    exchange: Exchange | None = None
    """The processes to update together with."""
    shares: Shares = {}  # noqa: RUF012 (made anew with the slots)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors kept beside the weights, zeros at first."""
        return ()

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of all vectors beside the weights: the slots, and the averages if they are kept."""
        return (*self.slots, "average") if self.use_ema else self.slots

    def state_dict(self) -> dict[str, Any]:
        """Copies of all that later steps depend on besides the weights: plain values and tensors.

        Returns: "iterations", "gathered_batches", "gathered_rows"; "learning_rate", None under a
            schedule; "slots": a list for each, with a tensor for each of `parameters` in its shape;
            "gradients": the same of micro-batches that wait for an update, else an empty list.
        """
        return state_of(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where an optimizer of the same kind was; call `build` first.

        Raises: ValueError for other entries, slots or shapes; nothing is changed then.
        """
        load_state(self, state)

    def share_with(self, exchange: Exchange | None) -> None:
        """Updates together with other processes from now on; None updates alone."""
        if self.built:
            whole = self._whole()
        self.exchange = exchange
        if self.built:
            self.shares = self._shares()
            with torch.inference_mode(False):
                self.state = {flat: {slot: vector[self.shares[flat]].clone()
                                     for slot, vector in slots.items()}
                              for flat, slots in whole.items()}
        Parameter.revisions += 1  # what is planned goes by the shares

    def whole(self, flat: FlatParameters, slot: str) -> Tensor:
        """The vector of a slot; of those who keep a share each, all are to call this."""
        own = self.state[flat][slot]
        if self.exchange is None or not self.exchange.divided:
            return own
        return self.exchange.whole(flat, own)

    def _make_slots(self) -> None:
        self.shares = self._shares()
        with torch.inference_mode(False):  # slots outlive every step
            self.state = {flat: {slot: torch.zeros_like(flat.data[share]) for slot in self.kept}
                          for flat, share in self.shares.items()}

    def _whole(self) -> dict[FlatParameters, dict[str, Tensor]]:
        return {flat: {slot: self.whole(flat, slot) for slot in self.state[flat]}
                for flat in self.flats}

    def _shares(self) -> Shares:
        if self.exchange is None:
            return all_of(self.flats)
        return self.exchange.shares(self.flats, not self.elementwise or self.clipnorm is not None)
