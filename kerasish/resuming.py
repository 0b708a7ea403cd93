"""All of a run as plain values and tensors: what a run that was killed goes on from, to the bit."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kerasish.hooks import Callback
from kerasish.losses.several import OutputLosses
from kerasish.module import Module
from kerasish.optimizers import Optimizer
from kerasish.paths import values
from kerasish.plan import Plan
from kerasish.progress import notice
from kerasish.random import global_states, set_global_states
from kerasish.running import Run
from kerasish.training import Trainer

FORMAT = 1
"""What a state is laid out by; it goes up when the layout changes."""


class Resumable(Trainer):
    """A trainer whose runs can be put away and gone on with, in another process, too.

    What is put away is all that later batches depend on: weights, buffers, what is frozen,
    gradients that wait for an update, the optimizer's slots, the sums of the metrics, the place in
    the data, every random state, and the states of the callbacks.
    """

    run: Run | None = None
    """The fit that is running; None outside one."""

    def run_state(self) -> dict[str, Any]:
        """The run as it is, to be taken in `on_settled` or `on_interrupt`.

        Raises: RuntimeError outside fit; TypeError naming what cannot be put away.
        """
        run, inside = self._current_run(), bool(self._current_run().batch)
        return {
            "format": FORMAT,
            "seed": run.plan.seed,
            "epoch": run.epoch,
            "batch": run.batch,
            "batches": run.plan.batches_an_epoch,
            "samples": run.plan.source.samples,
            "batch_size": run.plan.source.batch_size,
            "shuffle": run.plan.source.shuffle,
            "logs": dict(run.logs),
            "stop_training": self.stop_training,
            "epochs_trained": self.epochs_trained,
            "trainers": self._trainers_state(),
            "scores": self.scores.state_dict() if inside else None,
            "noise": run.noise.state() if inside else None,
            "source": run.plan.source.state_dict(),
            "validation": run.plan.validation.state_dict() if run.plan.validation else None,
            "random": global_states(),
            "callbacks": [[type(each).__name__, each.state_dict()] for each in run.hooks],
            "own": self.own_state(),
        }

    def load_run_state(self, state: dict[str, Any]) -> None:
        """Goes on from there; to be called in `on_restore`.

        Raises: ValueError for the state of another run. Weights and slots are then as they were.
        """
        run = self._current_run()
        _require_same_run(run, self, state)
        with self._put_back_on_error(), _noting_the_backup():
            self._load_trainers(state["trainers"])
            if state["scores"] is not None:
                self.scores.load_state_dict(state["scores"], self.device)
            _load_callbacks(run.hooks, state["callbacks"])
            self.load_own_state(state["own"])
        run.plan = run.plan.reseeded(state["seed"])
        run.epoch, run.batch, run.logs = state["epoch"], state["batch"], dict(state["logs"])
        run.noise = run.plan.noise(run.epoch, self.device)
        if not run.plan.rank:  # that of other processes begins with each batch
            run.noise.load(state["noise"])
        _load_places(run.plan, state)
        self.stop_training, self.epochs_trained = state["stop_training"], state["epochs_trained"]
        set_global_states(state["random"])

    def own_state(self) -> dict[str, Any]:
        """What a class of one's own adds to `run_state`: counters, say, that its steps go by.

        Modules, optimizers and trainers among the attributes are put away without it. Override it
        together with `load_own_state`.

        Returns: a tree of plain values and tensors.
        """
        return {}

    def load_own_state(self, state: dict[str, Any]) -> None:
        """Takes back what `own_state` gave."""

    def _current_run(self) -> Run:
        if self.run is None or self.run.ended:
            raise RuntimeError("Model.run_state expects a fit that is running; got none. Call it "
                               "in a callback's on_settled.")
        return self.run

    def _trainers(self) -> Iterator[tuple[str, Trainer]]:
        """This trainer, and those among its attributes: a GAN has two."""
        yield "", self
        yield from values(self, Trainer)

    def _trainers_state(self) -> dict[str, Any]:
        """What training has made of each of them: weights, buffers, slots, what is frozen."""
        return {name: _trainer_state(each) for name, each in self._trainers()}

    def _load_trainers(self, states: dict[str, Any]) -> None:
        for name, each in self._trainers():
            _load_trainer(each, states[name])

    def _facts(self, states: dict[str, Any]) -> list[tuple[str, Any, Any]]:
        """What they are made of, as it was put away and as it is, with words for it."""
        return [
            (f"{kind} of {each!r}", list(states.get(name, {}).get(kind, ())), list(own))
            for name, each in self._trainers()
            for kind, own in (("modules", _parts(each, Module)), ("optimizers", _optimizers(each)),
                              ("layers", _layers(each)), ("losses", _losses(each)))
        ]

    @contextmanager
    def _put_back_on_error(self) -> Iterator[None]:
        before = [(each, _trainer_state(each)) for _, each in self._trainers()]
        try:
            yield
        except BaseException:
            for each, state in before:
                _load_trainer(each, state)
            raise


@contextmanager
def _noting_the_backup() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note("while going on with the run that was put away: call fit as before, or "
                       "delete the backup to begin anew")
        raise


def _parts(trainer: Trainer, kind: type) -> dict[str, Any]:
    """The attributes of a kind; what `compile` was given stands among them under its own name."""
    return {name: part for name, part in values(trainer, kind)
            if not name.startswith("compile_arguments.")}


def _layers(trainer: Trainer) -> list[str]:
    """The classes of all modules, which the shapes of their parameters do not tell."""
    return [type(each).__name__ for each in trainer.module.modules()]


def _losses(trainer: Trainer) -> list[str]:
    loss = trainer.loss
    parts = [each.loss for each in loss.parts] if isinstance(loss, OutputLosses) else [loss]
    return [type(each).__name__ for each in parts]


def _optimizers(trainer: Trainer) -> dict[str, Optimizer]:
    return {name: each for name, each in _parts(trainer, Optimizer).items() if each.built}


def _trainer_state(trainer: Trainer) -> dict[str, Any]:
    return {
        "modules": {name: _module_state(each) for name, each in _parts(trainer, Module).items()},
        "optimizers": {name: each.state_dict() for name, each in _optimizers(trainer).items()},
        "layers": _layers(trainer),
        "losses": _losses(trainer),
        "batches_trained": trainer.batches_trained,
    }


def _module_state(module: Module) -> dict[str, Any]:
    parameters = dict(module.named_parameters())
    return {
        "state": module.state_dict(),
        "frozen": [path for path, each in parameters.items() if not each.trainable],
    }


def _load_trainer(trainer: Trainer, state: dict[str, Any]) -> None:
    for name, module in _parts(trainer, Module).items():
        kept = state["modules"][name]
        module.load_state_dict(kept["state"])
        for path, parameter in module.named_parameters():
            parameter.trainable = path not in kept["frozen"]
    for name, optimizer in _optimizers(trainer).items():
        optimizer.load_state_dict(state["optimizers"][name])
    trainer.batches_trained = state["batches_trained"]


def _load_callbacks(hooks: Iterable[Callback], states: list[Any]) -> None:
    """Gives each callback the state of the one that was in its place among those of its class."""
    left: dict[str, list[Any]] = {}
    for name, state in states:
        left.setdefault(name, []).append(state)
    for callback in hooks:
        name = type(callback).__name__
        if left.get(name):
            callback.load_state_dict(left[name].pop(0))
        else:
            notice(f"{name} was not in the run that is gone on with: it begins anew.")


def _load_places(plan: Plan, state: dict[str, Any]) -> None:
    """Puts the data back to where they were, as far as they can be."""
    for source, place in ((plan.source, state["source"]), (plan.validation, state["validation"])):
        if source is not None and place is not None:
            source.load_state_dict(place)
            if not source.restarts and place["taken"] and not state["batch"]:
                notice(f"fit cannot put {source!r} back to where it was: it goes on with the "
                       "batches that come next.")


def _require_same_run(run: Run, model: Resumable, state: Any) -> None:
    """Refuses the state of a fit with other arguments, where going on would not be the same run."""
    plan, kept_as = run.plan, state.get("format") if isinstance(state, dict) else None
    if kept_as != FORMAT:
        raise ValueError(f"fit expects a run that was put away in the form {FORMAT}; got the form "
                         f"{kept_as!r}, of another version of kerasish. Go on with that one, or "
                         "delete the backup to begin anew.")
    facts = model._facts(state["trainers"])
    if plan.seed_is_given:
        facts.append(("seed", state["seed"], plan.seed))
    facts += [("batch_size", state["batch_size"], plan.source.batch_size),
              ("shuffle", state["shuffle"], plan.source.shuffle),
              ("number of samples", state["samples"], plan.source.samples),
              ("number of batches an epoch", state["batches"], plan.batches_an_epoch)]
    for what, kept, given in facts:
        if kept != given:
            raise ValueError(
                f"fit expects to go on with the run that was put away, with the {what} {kept!r}; "
                f"got {given!r}. Call fit as before, or delete the backup to begin anew."
            )
