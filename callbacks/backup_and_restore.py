"""Lets a run that was killed go on as if nothing had happened."""

import os
from pathlib import Path
from typing import Any, ClassVar

from kerasish.checks import check_choice, check_count, check_flag
from kerasish.hooks import Callback
from kerasish.progress import notice
from kerasish.saving import ModelFileError
from kerasish.saving.errors import check_path
from kerasish.saving.format import read_file, write_file
from kerasish.saving.plain import pack, unpack
from kerasish.types import Logs

_LATEST, _PREVIOUS = "latest.safetensors", "previous.safetensors"


class BackupAndRestore(Callback):
    """Puts the whole run away as it goes, and goes on with it when the script is started again.

    A run that was killed, interrupted or stopped by an error, and is then started again by the same
    script with the same `seed`, ends with the same weights, slots, history and states of callbacks
    as one that was never disturbed, to the bit: on the same device and build, with as many threads.
    What the data set draws from the global generators of Python, numpy and torch, and a DataLoader
    from its own, is repeated, too. Other generators are not known here, nor is what an iterator has
    given, what a sequence has shuffled in `on_epoch_end`, or what workers have drawn that outlive a
    pass (persistent_workers=True).

    The first backup is written before the first batch: a run that is killed earlier than the second
    is gone on with, too, and a folder that cannot be written to is found out at once.

    A run that ends, early stopping included, takes its backup away; after Ctrl-C or an error it
    stays, and after a loss that is not a number that from before it does. Each fit needs a folder
    of its own. After a run that ended, a later fit with the same instance begins anew.

    Raises: ValueError for settings out of range; in fit, for the backup of another run; OSError if
        a backup cannot be written. ModelFileError if no backup in the folder can be read.

    Args:
        backup_dir: the folder; it is made.
        save_freq: "epoch"; or a number of batches, counted across epochs; or False to put the run
            away only on Ctrl-C.
        delete_checkpoint: whether a run that ended takes its backup away. A backup of an ended run
            is ended at once when it is started again.
        on_error: what a backup that cannot be written does: "raise", or "warn" and train on.

    Example:
        >>> BackupAndRestore("runs/disc/backup", save_freq=100).save_freq
        100
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    leaves_traces: ClassVar[bool] = True
    in_all_processes: ClassVar[bool] = True

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        delete_checkpoint: bool = True,
        on_error: str = "raise",
    ) -> None:
        if save_freq is not False and save_freq != "epoch":
            check_count("BackupAndRestore(save_freq)", save_freq, 1,
                        "'epoch' saves after each epoch, False only on Ctrl-C.")
        self.on_error = check_choice("BackupAndRestore(on_error)", on_error, ("raise", "warn"))
        folder = check_path("BackupAndRestore(backup_dir)", backup_dir, "runs/backup")
        self.backup_dir, self.save_freq = Path(folder), save_freq
        self.delete_checkpoint = check_flag("BackupAndRestore(delete_checkpoint)",
                                            delete_checkpoint)
        self._begins_anew = self._kept = self._latest_is_damaged = False
        self._saved_at = 0
        self._run: Any = None

    def listens(self, hook: str) -> bool:
        by_batch = self.save_freq not in ("epoch", False)
        return by_batch and super().listens(hook)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._run, self._kept = self.model.run, False
        self._saved_at = self.model.batches_trained

    def on_restore(self) -> None:
        if (self._begins_anew or not self._restore()) and self.save_freq is not False:
            self._save()  # before the first batch: what files of callbacks held then is known

    def _restore(self) -> bool:
        """Goes on with the backup; returns whether there is one.

        Of processes that train together the first one reads it, for all.
        """
        group = self.model.group
        state = self._found() if self.model.is_first else None
        if group is not None:
            state = group.agreed(state)
        if state is None:
            return False
        self.model.load_run_state(state)
        self._saved_at = self.model.batches_trained
        if self.model.is_first:
            self._tell(state)
        return True

    def _found(self) -> dict[str, Any] | None:
        """The newest backup that can be read; None if there is none."""
        problems: list[ModelFileError] = []
        for path in self._paths():
            try:
                state: dict[str, Any] = _read(path)
            except FileNotFoundError:
                continue
            except ModelFileError as error:
                problems.append(error)
                continue
            for problem in problems:
                notice(f"{problem} Going on with the backup before it, {str(path)!r}.")
                self._latest_is_damaged = True
            return state
        if problems:
            newest, *others = problems
            for other in others:
                newest.add_note(str(other))
            raise newest
        return None

    def _tell(self, state: dict[str, Any]) -> None:
        """Says where it goes on, for a script that was changed meanwhile, or a folder mistaken."""
        place = f"epoch {state['epoch'] + 1}"
        place += f", after {state['batch']} of its batches" if state["batch"] else ""
        notice(f"BackupAndRestore goes on with the run in {str(self.backup_dir)!r}: {place}. "
               "Weights, optimizer and learning rate are those that were put away there.")

    def on_settled(self, epoch: int, batch: int | None = None) -> None:
        self._kept = self._kept or self.model.diverged  # what was saved before that is of use
        if self._kept:
            return  # what comes after Ctrl-C is not part of the run
        if batch is None:
            due = self.save_freq == "epoch" or self.model.interrupted
        else:
            due = self.model.batches_trained - self._saved_at >= int(self.save_freq)
        if due:
            self._save()

    def on_interrupt(self, epoch: int, batch: int) -> None:
        if self._run.plan.source.restarts:
            self._save()
        self._kept = True

    def close(self) -> None:
        run, self._run = self._run, None
        if run is None:
            return  # it was told of something else than a fit
        self._begins_anew = run.ended and not (self.model.interrupted or self.model.diverged)
        if self._begins_anew and self.delete_checkpoint and self.model.is_first:
            for path in reversed(self._paths()):
                path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return [self.backup_dir / _LATEST, self.backup_dir / _PREVIOUS]

    def _save(self) -> None:
        self._saved_at = self.model.batches_trained
        state = self.model.run_state()  # in all processes: each may hold a share of it
        try:
            with self.model.failing_together():
                if self.model.is_first:
                    self._write(state)
            self._latest_is_damaged = False
        except OSError as error:
            if self.on_error == "raise":
                raise
            notice(f"BackupAndRestore could not save: {error}. Training goes on.")

    def _write(self, state: dict[str, Any]) -> None:
        latest, previous = self._paths()
        configuration, tensors = pack(state)
        write_file(latest, "checkpoint", {"run": configuration}, tensors,
                   None if self._latest_is_damaged else previous)


def _read(path: Path) -> Any:
    stored = read_file(path, ("checkpoint",))
    try:
        return unpack(stored.configuration["run"], stored.tensors())
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(path, "configuration", f"it holds no run: {error}",
                             "Delete the file.") from error
