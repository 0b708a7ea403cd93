"""What can be asked of a model besides training it: a method for each tool of `insight`."""

from typing import Any

from kerasish import insight
from kerasish.insight.profile_report import Profile


class Inspectable:
    """A model that can be looked into; no question leaves a trace in it."""

    def profile(
        self, x: Any, y: Any = None, sample_weight: Any = None, repeats: int | None = None
    ) -> Profile:
        """Where the time and the memory of one training step go, module by module.

            ms = forward + dx + dW        dW = backward as trained - backward as frozen

        It trains a copy on one batch again and again, and takes medians over rounds. A module's
        time is its own, without that of the modules below it; a container's is what it does
        besides. dW is never negative: where noise would have it so, it is 0. Where no dx is
        computed, in the first module say, all of backward is dW. A module of your own is to leave
        dW out while its parameters are frozen; else it is taken for dx.

        Each module is called by itself to be timed. In training an activation may run within the
        layer before it: how long a step really takes is `step_ms`, and printed as well.

        On CUDA the clock waits for the device before and after each call.

        Memory is that of tensors: weights, gradients, what the optimizer keeps, the batch, and all
        that the step makes; a view counts with what it is a view of. What a kernel needs for itself
        while it runs is not counted.

        Raises: RuntimeError before compile; TypeError or ValueError for data that do not fit.

        Args:
            x: one batch, as `train_on_batch` takes it.
            y: its targets.
            sample_weight: one weight a sample.
            repeats: rounds, 1 or more; None is as many as fit into about two seconds, 3 to 50.

        Returns: a report with `rows`, `step_ms`, `sorted(by)` and `print(sort_by)`, which
            `summary(profile=...)` shows beside shapes and parameters.

        Example:
            >>> from kerasish import Model
            >>> from kerasish.layers import Linear, Tanh
            >>> model = Model(Linear(8), Tanh(), Linear(1), device="cpu")
            >>> model.compile("sgd", loss="mse")
            >>> report = model.profile([[0.0], [1.0]], [[1.0], [0.0]])
            >>> [row.name for row in report.rows if row.path]
            ['0 Linear(8)', '1 Tanh()', '2 Linear(1)']
        """
        return insight.profile(self, x, y, sample_weight, repeats)
