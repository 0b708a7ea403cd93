"""What can be asked of a model besides training it: a method for each tool of `insight`."""

from kerasish.insight.replay import Replay, replay
from kerasish.saving.errors import FilePath


class Inspectable:
    """A model that can be looked into; no question leaves a trace in it."""

    def replay(self, path: FilePath) -> Replay:
        """Runs a step again that `callbacks.NanTracer` has saved, on a copy of the model.

        Weights, slots, batch and noise are those of the step, so each number is the same to the bit
        as it was then; on another kind of device, noise and rounding are others. The model itself
        need not be trained, or built.

        Raises: ModelFileError for a file that is damaged, or of another model; RuntimeError before
            compile; OSError if it cannot be read.

        Args:
            path: the file, "nan/step-00123.safetensors" say.

        Returns: every tensor of the step in order, to be printed; `first` is the first that is not
            finite, `steps` are all.
        """
        return replay(self, path)
