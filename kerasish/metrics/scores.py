"""The loss and the metrics of one pass over the data, summed up on the device."""

import copy
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from kerasish.metrics.metric import Mean, Metric
from kerasish.metrics.sums import copied
from kerasish.trees import batch_size, filled, leaves, mapped
from kerasish.types import Device

_BLOCK, _BLOCK_BATCHES = 4096, 256
"""Small batches are held until so many predictions, or batches, have come together: a metric costs
several operations, which on a batch of one is as much as the layers do."""
_LOSSES = 64
"""Losses that are held before they are added up: one stack costs less than so many additions."""


class Scores:
    """Running means of the loss and of the metrics, by the names that logs show.

    Args:
        metrics: name → metric; "loss" is added in front.
        parts: names of what the loss is made of, which come after it.
        weighted: names of the metrics that see sample weights; the others never do.
    """

    def __init__(
        self,
        metrics: dict[str, Metric],
        parts: Iterable[str] = (),
        weighted: Collection[str] = (),
    ) -> None:
        self._parts, self.metrics = tuple(parts), metrics
        self.losses = {name: Mean() for name in ("loss", *self._parts)}
        self._loss, self.weighted = self.losses["loss"], weighted
        self._quick = {name: metric for name, metric in metrics.items()
                       if vars(type(metric)).get("runs_in_step")}
        self._others = {name: metric for name, metric in metrics.items() if name not in self._quick}
        self._held: list[tuple[Any, Any, Any]] = []
        self._held_size = 0
        self._held_losses: list[Tensor] = []
        self._rows = 0
        self._answered: dict[str, None] = {}
        self.names = self._names_with({})
        """Of the loss, of its parts and of the metrics, in the order of logs; or of the values that
        a step of the user's own has answered in this pass."""
        self.updates = 0
        """Batches and resets ever; never reset itself, so that it tells moments apart."""

    def fresh(self) -> "Scores":
        """The same metrics with sums of their own, for a pass beside this one."""
        twin = Scores(copy.deepcopy(self.metrics), self._parts, self.weighted)
        twin.reset()
        return twin

    def reset(self) -> None:
        """Forgets all batches."""
        self.updates += 1
        self.forget()
        self._held_losses, self._rows = [], 0
        if self._answered:
            self._answer({})
        for metric in (*self.losses.values(), *self.metrics.values()):
            metric.reset()

    def forget(self) -> None:
        """Lets go of batches that are held and not yet in the sums: after an error, or a reset."""
        self._held, self._held_size = [], 0

    def update(
        self,
        loss: Tensor,
        y_pred: Any,
        y_true: Any,
        sample_weight: Any,
        parts: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        """Takes in one batch; reads nothing back from the device.

        The loss is a tensor of this batch's own: it is read later.
        """
        self.updates += 1
        is_single = isinstance(y_pred, Tensor)
        size = y_pred.shape[0] if is_single else batch_size(y_pred)
        if size != self._rows or len(self._held_losses) == _LOSSES:
            self._add_losses(self._loss)
            self._held_losses, self._rows = [], size
        self._held_losses.append(loss)
        for name, part in parts.items():
            self.losses[name].add(part, size)
        for name, metric in self._others.items():
            with torch.inference_mode(False):
                metric.update(y_pred, y_true, sample_weight if name in self.weighted else None)
        if self._quick:  # the memory of predictions may be reused
            kept = y_pred.clone() if is_single else mapped(Tensor.clone, y_pred)
            self._hold((kept, y_true, sample_weight))

    def update_all(
        self, losses: Tensor, y_pred: Any, y_true: Any, sample_weight: Any,
        parts: Mapping[str, Tensor], size: int,
    ) -> None:
        """Takes in several batches, each of so many samples, that lie in stacks."""
        self.updates += 1
        for name, each in (("loss", losses), *parts.items()):
            self.losses[name].add_all(each, size)
        for name, metric in self._others.items():  # each batch may count as one
            for i in range(len(losses)):
                one = mapped(lambda part, i=i: part[i],  # type: ignore[misc]
                             (y_pred, y_true, sample_weight if name in self.weighted else None))
                with torch.inference_mode(False):
                    metric.update(*one)
        if self._quick:
            self._hold(mapped(lambda part: part.flatten(0, 1), (y_pred, y_true, sample_weight)))

    def _hold(self, batch: tuple[Any, Any, Any]) -> None:
        """Keeps a batch until there are enough to take in at once."""
        self._held.append(batch)
        self._held_size += sum(part.numel() for part in leaves(batch[0]))
        if self._held_size >= _BLOCK or len(self._held) >= _BLOCK_BATCHES:
            self._take_in(self._quick)
            self._held, self._held_size = [], 0

    def _add_losses(self, mean: Mean) -> None:
        """Adds up the losses that are held, each the mean over so many rows."""
        if self._held_losses:
            mean.add_all(self._held_losses, self._rows)

    def add(self, values: Mapping[str, Tensor], size: int) -> None:
        """Takes in the values of a step that says by itself what the logs are to show."""
        self.updates += 1
        if not values.keys() <= self._answered.keys():
            self._answer(self._answered | dict.fromkeys(values))
        for name, value in values.items():
            self.losses[name].add(value, size)

    def _answer(self, names: dict[str, None]) -> None:
        """From here on these are the names of the values that steps answer, if there are any."""
        self._answered, self.names = names, self._names_with(names)
        with torch.inference_mode(False):
            self.losses |= {name: Mean() for name in names if name not in self.losses}

    def _names_with(self, answered: Collection[str]) -> tuple[str, ...]:
        own = [name for name in answered if name != "loss"]
        return ("loss", *own) if answered else ("loss", *self._parts, *self.metrics)

    def _take_in(self, metrics: Mapping[str, Metric]) -> None:
        """Gives the batches that are held to metrics, as one."""
        if not self._held or not metrics:
            return
        y_pred, y_true, weights = map(_joined, zip(*self._held, strict=True))
        for name, metric in metrics.items():
            metric.update(y_pred, y_true, weights if name in self.weighted else None)

    def results(self, names: Container[str] | None = None) -> dict[str, float]:
        """The values so far, read from the device; looking changes no bit of later ones.

        Args:
            names: whose values; None is all of them.
        """
        everything = self.losses | self.metrics
        wanted = {name: everything[name] for name in self.names if names is None or name in names}
        copies: dict[str, Metric] = {
            name: copy.deepcopy(metric) for name, metric in wanted.items()
            if self._held and name in self._quick}
        self._take_in(copies)
        if self._held_losses and "loss" in wanted:
            copies["loss"] = loss = copy.deepcopy(self._loss)
            self._add_losses(loss)
        return {name: metric.result() for name, metric in (wanted | copies).items()}

    def final_results(self) -> dict[str, float]:
        """The values over all batches, after which there are no others until `reset`."""
        self._take_in(self._quick)
        self._add_losses(self._loss)
        self._held_losses = []
        self.forget()
        return self.results()

    def state_dict(self) -> dict[str, Any]:
        """All sums exactly, and the batches that are held: a tree of plain values and tensors.

        Raises: TypeError naming what a metric keeps that is neither.
        """
        sizes = [batch_size(y_pred) for y_pred, _, _ in self._held]
        held = tuple(map(_joined, zip(*self._held, strict=True)))
        everything = self.losses | self.metrics
        return {"sums": {name: everything[name].state_dict() for name in self.names},
                "answered": list(self._answered),
                "sizes": sizes, "held": copied("Scores.held", held),
                "losses": copied("Scores.losses", self._held_losses), "rows": self._rows}

    def load_state_dict(self, state: Mapping[str, Any], device: Device | None = None) -> None:
        """Takes a state back: what follows is the same to the bit, held batches included.

        Raises: ValueError for the state of other metrics; nothing is changed then.

        Args:
            state: what `state_dict` gave.
            device: where the tensors go; None leaves them where they are.
        """
        sums, names = state["sums"], self._names_with(state["answered"])
        if list(sums) != list(names):
            raise ValueError(f"Scores.load_state_dict(state) expects the sums of {names}; got "
                             f"those of {tuple(sums)}. Compile with the same loss and metrics.")
        self._answer(dict.fromkeys(state["answered"]))
        everything = self.losses | self.metrics
        for name in names:
            everything[name].load_state_dict(sums[name], device)
        self.updates += 1
        self.forget()
        self._held_losses = copied("Scores.losses", state["losses"], device)
        self._rows = state["rows"]
        if state["sizes"]:
            held = copied("Scores.held", state["held"], device)
            parts = (_cut(part, state["sizes"]) for part in held)
            self._held = list(zip(*parts, strict=True))
            self._held_size = sum(part.numel() for part in leaves(held[0]))


def _joined(batches: tuple[Any, ...]) -> Any:
    """Batches of one structure as one batch; None stays None."""
    if isinstance(batches[0], Tensor):
        return torch.cat(batches).contiguous()  # sums then have one order, however batches lay
    return filled(batches[0], map(_joined, zip(*map(leaves, batches), strict=True)))


def _cut(batch: Any, sizes: list[int]) -> list[Any]:
    """The reverse of `_joined`: batches of these sizes."""
    if next(leaves(batch), None) is None:
        return [batch] * len(sizes)
    views = zip(*(torch.split(part, sizes) for part in leaves(batch)), strict=True)
    return [filled(batch, each) for each in views]


_UNREAD = object()


class RunningLogs(MutableMapping[str, Any]):
    """The running means at one batch, each read from the device when it is first looked at.

    Raises: RuntimeError if one is first looked at after a later batch.
    """

    __slots__ = ("_scores", "_update", "_values")

    def __init__(self, scores: Scores) -> None:
        self._scores, self._update = scores, scores.updates
        self._values: dict[str, Any] = dict.fromkeys(scores.names, _UNREAD)

    def _read(self, names: Iterable[str]) -> dict[str, Any]:
        """All values, with these read."""
        unread = [name for name in names if self._values[name] is _UNREAD]
        if unread:
            if self._update != self._scores.updates:
                raise RuntimeError(
                    "These logs expect to be read in the hook that they were given to; got read "
                    "after a later batch. Keep dict(logs) instead of logs."
                )
            self._values |= self._scores.results(unread)
        return self._values

    def __getitem__(self, name: str) -> Any:
        return self._read([name])[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._read(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._read(self._values))
