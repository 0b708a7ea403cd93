"""What a user calls to keep a model in a file, and to have it back."""

import os
from collections.abc import Iterable, Iterator
from typing import Any, Self

import torch

from kerasish.compiling import Compilable
from kerasish.module import Module
from kerasish.optimizers import Optimizer
from kerasish.parameter import Parameter
from kerasish.paths import state, values
from kerasish.saving.errors import FilePath, ModelFileError, check_path
from kerasish.saving.format import read_file, write_file
from kerasish.saving.models import (
    COUNTERS,
    encode_model,
    read_model,
    read_training,
    require_classes,
    require_steps,
    resume_training,
    write_model,
)
from kerasish.saving.nets import OTHERS, decode_net, differences
from kerasish.training import Trainer
from kerasish.types import Device


class Savable(Compilable):
    """A model that files can hold. They hold data only: loading one runs no code from it."""

    def save(self, path: FilePath, overwrite: bool = True) -> None:
        """Keeps all of the model: net, weights, how it is compiled, and where its training is.

        The file is whole or not there, and an older one stays until the new one is whole. A model
        may be saved before it is built or compiled, too. Of processes that train together the
        first one writes; where each keeps a share of the optimizer, all are to call this.

        Raises: FileExistsError with overwrite=False if there is a file; TypeError for functions
            and other things that data cannot say, naming their place, and for a model with nets or
            optimizers besides its own (see `require_nothing_left_out`); OSError if it cannot be
            written.

        Args:
            path: of any name; "net.safetensors" is usual.
            overwrite: whether a file that is there may be replaced.

        Example:
            >>> import tempfile
            >>> from kerasish import Model
            >>> from kerasish.layers import Linear
            >>> model = Model(Linear(1), device="cpu")
            >>> model.compile("adam", "mse")
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.save(f"{folder}/net.safetensors")
            ...     Model.load(f"{folder}/net.safetensors", device="cpu").module
            Linear(out_features=1)
        """
        name = _for_writing("Model.save", path, overwrite)
        require_nothing_left_out("Model.save", self)
        write_model(name, self)

    def check_savable(self, weights_only: bool = False) -> None:
        """Refuses what `save`, or `save_weights`, would refuse, and writes nothing.

        A class with a method of its own is believed to be able to.

        Raises: TypeError and ValueError as they do.
        """
        own = type(self).save_weights if weights_only else type(self).save
        if own in (Savable.save_weights, Savable.save):
            method = "save_weights" if weights_only else "save"
            require_nothing_left_out(f"Model.{method}", self, weights_only)
            if not weights_only:
                encode_model(self)

    @classmethod
    def load(
        cls, path: FilePath, custom: Iterable[type] = (), compile: bool = True,
        device: Device = "auto",
    ) -> Self:
        """The model of a file, compiled as it was: training goes on as if it had never stopped.

        Only classes of kerasish and those in `custom` are made, and nothing from the file is run,
        imported or opened; still, the classes in `custom` are called with settings from the file.

        Raises: kerasish.ModelFileError naming the entry that is wrong; OSError if the file cannot
            be read; TypeError for a class of models that is not made from a module alone. A file
            that a class of your own has saved is loaded by that class: `MyModel.load(path)`.

        Args:
            path: the file.
            custom: your own classes among the model's parts: `custom=(MyLayer, MyLoss)`.
            compile: whether to compile it as it was; False needs no custom losses and metrics.
            device: as for `Model`.
        """
        stored = read_model(check_path("Model.load(path)", path))
        custom = tuple(custom) if isinstance(custom, Iterator) else custom
        require_classes(stored, custom, compile)
        if compile:
            require_steps(stored, cls)
        module = decode_net(stored, custom)
        training = read_training(stored, custom) if compile else None
        try:
            model = cls(module, device=device)  # type: ignore[call-arg]
        except TypeError as error:
            raise TypeError(f"{cls.__name__}.load(path) expects a class that is made from a module "
                            f"and a device; got: {error}. Give it __init__(self, module, "
                            "device='auto'), or write Model.load(path).module.") from error
        for name in COUNTERS:
            setattr(model, name, stored.configuration[name])
        model._prepare()
        if training is not None:
            resume_training(model, stored, training)
        return model

    def save_weights(self, path: FilePath, overwrite: bool = True) -> None:
        """Keeps parameters and buffers alone, under the names that torch gives them.

        Of processes that train together the first one writes.

        Raises: RuntimeError before the model is built; as `save`.
        """
        if not self.built:
            raise RuntimeError("Model.save_weights expects a model that is built; got one without "
                               "parameters. Call model.build(shape), or fit first.")
        name = _for_writing("Model.save_weights", path, overwrite)
        require_nothing_left_out("Model.save_weights", self, weights_only=True)
        if self.is_first:
            write_file(name, "weights", {}, self.module.state_dict())

    def load_weights(self, path: FilePath, strict: bool = True) -> list[str]:
        """Puts in the weights of a file, written by `save_weights` or by `save`.

        A model that is not built takes them when it is. If they do not fit, nothing is changed.

        Returns: with strict=False, the names of the tensors that did not fit and were left out.
        Raises: ModelFileError with a table of what does not fit; RuntimeError for strict=False
            before the model is built.

        Args:
            path: the file.
            strict: whether all names and shapes have to fit; False takes those that do.
        """
        stored = read_file(check_path("Model.load_weights(path)", path), ("weights", "model"))
        begins = OTHERS if stored.kind == "model" else ()
        given = {name: each for name, each in stored.tensors().items()
                 if not name.startswith(begins)}
        if not self.built:
            if not strict:
                raise RuntimeError("Model.load_weights(strict=False) expects a model that is "
                                   "built; got one without parameters. Call model.build(shape).")
            self.module.load_when_built(given, origin=stored.path)
            return []
        own = dict(state(self.module))
        wanted = {name: (each.dtype, tuple(each.shape)) for name, each in own.items()}
        if strict and (lines := differences(wanted, given, casts=True)):
            raise ModelFileError(stored.path, "its tensors", f"do not fit this model:\n{lines}\n",
                                 "Build it for the same sizes, or load with strict=False.")
        fitting = {name: each for name, each in given.items()
                   if name in own and each.shape == own[name].shape}
        with torch.inference_mode(False):
            self.module.load_state_dict({**own, **fitting})
        return sorted(given.keys() ^ own.keys() | (given.keys() - fitting.keys()))


def require_nothing_left_out(who: str, model: Savable, weights_only: bool = False) -> None:
    """Refuses a model with nets or optimizers among its attributes that its file would not hold.

    A file holds `model.module` and the optimizer that `compile` was given. What belongs to these
    may be among the attributes, too.

    Raises: TypeError with the names of the others.

    Args:
        who: what is called, "Model.save" for instance.
        model: the one to save.
        weights_only: whether optimizers are not kept anyway.
    """
    kept = {id(each) for each in (model, *model.module.modules(), *model.module.parameters(),
                                  getattr(model, "optimizer", None))}
    kinds = (Module, Parameter, Trainer, *(() if weights_only else (Optimizer,)))
    names = [name for kind in kinds for name, each in values(model, kind)
             if id(each) not in kept and not name.startswith("compile_arguments.")]
    if names:
        raise TypeError(
            f"{who} expects a model that is its module alone; got {type(model).__name__} with "
            f"{', '.join(names)} besides, which its file would not hold. Keep a net of them by "
            "Model(net).save(path), or the whole run by the callback BackupAndRestore.")


def _for_writing(who: str, path: Any, overwrite: bool) -> str:
    """The path as text, if a file may be written there."""
    name = check_path(f"{who}(path)", path)
    if os.path.isdir(name):
        raise IsADirectoryError(f"{who}(path) expects the name of a file; got {name!r}, a folder. "
                                "Add a name to it.")
    if not overwrite and os.path.lexists(name):
        raise FileExistsError(f"{who}(overwrite=False) expects a path without a file; got "
                              f"{name!r}. Take another name, or overwrite=True.")
    return name
