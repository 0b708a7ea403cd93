"""Containers that bind the calls of their parts once, instead of looking them up in each step."""

from typing import Any, ClassVar

from kerasish.module import Module


class Planned(Module):
    """A container with a plan: bound calls, which hold until settings of a parameter change."""

    bound: ClassVar[tuple[str, ...]] = ()
    """The attributes that the plan is in, besides `_planned_at`, the revision it was made for."""

    _planned_at = -1

    def __getstate__(self) -> dict[str, Any]:
        """A copy binds calls of its own."""
        plan = (*self.bound, "_planned_at")
        return {name: value for name, value in vars(self).items() if name not in plan}

    def exchange_plan(self, plan: dict[str, Any]) -> dict[str, Any]:
        """Takes another plan, none if it is empty; returns the one there was."""
        own = vars(self)
        old = {name: own.pop(name) for name in (*self.bound, "_planned_at") if name in own}
        own.update(plan)
        return old
