"""Sees what goes through a net: each forward and backward of each of its modules, as it happens."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, NamedTuple

from kerasish.containers.planned import Planned
from kerasish.module import Module


class Place(NamedTuple):
    """A module, and where in the net it is; of one that is shared, the first place."""

    path: str
    module: Module


_Watched = tuple[Module, type[Module], type[Module]]
"""A module, its class, and the class that it has while it is watched."""


class Watch:
    """Stands around every call of forward and backward in a module and all below it.

    A subclass overrides `forward` and `backward`: it runs the call, and does what it likes before
    and after it. Inside `with watch:` every module is called by itself: activations are neither
    fused into what is before them nor written over its output, so there is an x and a y for each.
    The numbers are the same to the bit. Afterwards all is as before; between the blocks watching
    costs nothing.

    Raises: RuntimeError for a block within a block of the same watch.

    Args:
        module: the net; built or not.

    Example:
        >>> import torch
        >>> from kerasish.layers import Linear, ReLU
        >>> from kerasish.containers import Sequential
        >>> class Shapes(Watch):
        ...     def forward(self, place, x, call):
        ...         y = call(x)
        ...         print(place.path or "the whole", tuple(x.shape), "->", tuple(y.shape))
        ...         return y
        >>> net = Sequential(Linear(2), ReLU())
        >>> with Shapes(net):
        ...     y = net(torch.ones(1, 3))
        0 (1, 3) -> (1, 2)
        1 (1, 2) -> (1, 2)
        the whole (1, 3) -> (1, 2)
    """

    listens: ClassVar[bool] = False
    """Whether it wants no more than to be told of calls: nets then run as they do unwatched, and a
    fused activation is not called."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.places = [Place(path, part) for path, part in module.named_modules()
                       if self.watches(part)]
        self._by_id = {id(place.module): place for place in self.places}
        self._watched: list[_Watched] = []
        self._plans: dict[int, dict[str, Any]] = {}
        self._classes: dict[type[Module], type[Module]] = {}
        self._ends = self._over = False
        self._beneath: list[Watch] = []
        self._kinds: list[type[Module]] = []
        self._all: list[_Watched] = []
        """What is watched while the modules are of these kinds."""

    def watches(self, part: Module) -> bool:
        """Whether it stands around this part, too."""
        return True

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        """Around a forward: `call(x)` gives y, which this returns."""
        return call(x)

    def backward(self, place: Place, dy: Any, call: Callable[[Any], Any]) -> Any:
        """Around a backward: `call(dy)` gives dx, or None where nobody needs it."""
        return call(dy)

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start_for_one_step(self) -> None:
        """Watches from now on until the whole module has gone back through all its forwards."""
        self.start()
        self._ends = True

    def start(self) -> None:
        """Watches from now on until `stop`."""
        if self._over:
            self._over = False
            return  # it was only waiting, within a later one, to be put back
        if self._watched:
            raise RuntimeError(f"{type(self).__name__} expects to watch once at a time; got "
                               "started while it watches. Make another one.")
        kinds = [type(place.module) for place in self.places]
        if kinds != self._kinds:  # plans are bound to what this one stands around
            self._plans, self._kinds = {}, kinds
            self._all = [(place.module, kind, self._class_for(kind))
                         for place, kind in zip(self.places, kinds, strict=True)]
        others = (getattr(kind, "_watch", None) for kind in dict.fromkeys(kinds))
        self._beneath = [other for other in others if other is not None]
        self._watched = self._all
        self._put(1)

    def stop(self) -> None:
        """Watches no more, if it did; a watch that began later goes on."""
        self._ends = False
        self._over = any(type(part) is not watched for part, _, watched in self._watched)
        if self._over:
            return  # the later one stands around this one, and puts all back in its end
        if self._watched:
            self._put(0)
        self._watched = []
        others, self._beneath = self._beneath, []
        for other in others:
            if other._over:
                other.stop()

    def _put(self, which: int) -> None:
        """Gives every module its own class or the watched one, and the plan that goes with it."""
        for part, *classes in self._watched:
            part.__class__ = classes[which]
            if isinstance(part, Planned):
                self._plans[id(part)] = part.exchange_plan(self._plans.get(id(part), {}))

    def _class_for(self, kind: type[Module]) -> type[Module]:
        if kind not in self._classes:
            self._classes[kind] = self._watched_class(kind)
        return self._classes[kind]

    def _watched_class(self, kind: Any) -> type[Module]:
        """As a subclass it is neither fused nor does it overwrite x: these go by exact class.

        What is within a module goes by `kind_of`, and stays as it is.
        """

        @wraps(kind.forward)
        def forward(part: Module, x: Any, *more: Any, **granted: Any) -> Any:
            place = self._place(part)
            if place is None:
                return kind.forward(part, x, *more, **granted)
            return self.forward(place, x, lambda x: kind.forward(part, x, *more, **granted))

        @wraps(kind.backward)
        def backward(part: Module, dy: Any, *more: Any, **granted: Any) -> Any:
            place = self._place(part)
            if place is None:
                return kind.backward(part, dy, *more, **granted)
            dx = self.backward(place, dy, lambda dy: kind.backward(part, dy, *more, **granted))
            if self._ends and part is self.module and not part._saved:
                self.stop()
            return dx

        own = next(each for each in kind.__mro__ if "_watch" not in vars(each))

        def reduce(part: Module, protocol: Any) -> Any:
            """A copy is of the module's own class: nobody watches it."""
            make, args, *state = own.__reduce_ex__(part, protocol)
            return make, tuple(own if each is type(part) else each for each in args), *state

        looks_back = type(self).backward is not Watch.backward or kind is type(self.module)
        planned_as = {"_planned_as": own} if self.listens else {}
        return type(kind.__name__, (kind,), planned_as | {
            "forward": forward, "backward": backward if looks_back else kind.backward,
            "__reduce_ex__": reduce, "__module__": kind.__module__, "_watch": self, "_kind": own})

    def _place(self, part: Module) -> Place | None:
        """That of a part; None once it watches no more, and for a copy of the net."""
        return self._by_id.get(id(part)) if self._watched and not self._over else None
