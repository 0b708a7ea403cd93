"""What processes that train together send each other in a step, in its order."""

from typing import Any, NamedTuple

from kerasish.distributed import Exchange, Group
from kerasish.insight.table import in_units, ruled
from kerasish.optimizers.shares import all_of
from kerasish.streaming import sends_early

_LONGEST = 110
_HEAD = ("Part", "Sent after the gradient of", "Parameters", "Size", "Updated by")


class SentPart(NamedTuple):
    """A stretch of the gradients that is added up over all processes at once."""

    after: str
    """The parameter whose gradient is the last to be complete, by its path."""
    parameters: int
    """How many it belongs to, or to a part of."""
    bytes: int
    owner: int | None
    """The process that updates it and hands the weights to the others; None if all update it."""


class CommunicationPlan:
    """What is sent in each step of training: all in bytes.

    Args:
        size: how many processes there are.
        early: whether parts are sent while backward goes on.
        parts: what is sent, in this order.
        optimizer: what the optimizer keeps in this process.
        optimizer_alone: what it would keep in a process that trains alone.
    """

    def __init__(self, size: int, early: bool, parts: list[SentPart], optimizer: int,
                 optimizer_alone: int) -> None:
        self.size, self.early, self.parts = size, early, parts
        self.optimizer, self.optimizer_alone = optimizer, optimizer_alone

    @property
    def bytes(self) -> int:
        """The gradients that are added up."""
        return sum(part.bytes for part in self.parts)

    def __repr__(self) -> str:
        return f"<CommunicationPlan of {len(self.parts)} parts: {in_units(self.bytes)}>"

    def __str__(self) -> str:
        cells = [(str(number), part.after, str(part.parameters), in_units(part.bytes),
                  "all" if part.owner is None else f"process {part.owner}")
                 for number, part in enumerate(self.parts, 1)]
        when = "while backward goes on" if self.early else "after backward"
        who = f"{self.size} processes add up gradients" if self.size > 1 else (
            "One process sends nothing; several would add up gradients")
        return "\n".join([
            f"{who} {when}, in this order:",
            *ruled([[], [_HEAD], cells, []], _LONGEST),
            f"Gradients: {in_units(self.bytes)}. Optimizer: {in_units(self.optimizer)} in each "
            f"process, {in_units(self.optimizer_alone)} alone."])


def communication_plan(model: Any) -> CommunicationPlan:
    """What `Model.communication_plan` answers."""
    if not (model.compiled and model.built):
        raise RuntimeError("Model.communication_plan expects a model that is compiled and built; "
                           "got one whose parameters are not known. Call compile, and build(shape) "
                           "or fit.")
    optimizer, exchange = model.optimizer, model.optimizer.exchange
    if exchange is None:
        exchange = Exchange(Group(0, 1), optimizer)
        exchange.shares(optimizer.flats, whole_parameters=False)
    paths = {parameter: path for path, parameter in model.module.named_parameters()}
    parts = [SentPart(paths.get(each.parameters[-1], "another model's"), len(each.parameters),
                      each.bytes, each.owner) for each in exchange.stretches()]
    kept = len(optimizer.kept)
    return CommunicationPlan(
        exchange.group.size, sends_early(model, exchange), parts,
        kept * _bytes(optimizer.shares), kept * _bytes(all_of(optimizer.flats)))


def _bytes(shares: Any) -> int:
    return sum(flat.data[share].nbytes for flat, share in shares.items())
