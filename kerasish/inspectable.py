"""What can be asked of a model besides training it: a method for each tool of `insight`."""

from typing import Any

from kerasish import insight


class Inspectable:
    """A model that can be looked into; no question leaves a trace in it."""

    def plan(
        self,
        batch_size: int | None = None,
        x: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        input_shape: Any = None,
        training: bool = True,
        budget: Any = None,
    ) -> insight.MemoryPlan:
        """How much memory a step takes, known before anything runs.

        The step that `fit` makes is gone through on tensors that have shapes and no memory, so any
        batch size can be asked for. All is counted that torch allocates for it: parameters,
        gradients, the optimizer's slots, buffers, the batch, what modules save for backward and
        what is at work in between; the data set that batches are cut from is not.

        Raises: ValueError for a model that is not built, if neither x nor input_shape is given, and
            for a budget that not even one sample fits in; RuntimeError before compile, but for
            training=False.

        Args:
            batch_size: samples in the batch; None is 32, or as many as fit the budget.
            x: examples of samples, of which only shape and type are looked at; None is floats, or
                integers where the model takes nothing else, of the shape that it is built for.
            y: examples of targets, if they are others than the loss suggests.
            sample_weight: examples of weights, if there are any.
            input_shape: the shape of a sample, instead of x.
            training: a step of training, or a prediction.
            budget: "8GB" (8 · 10⁹ bytes), "8 GiB" (8 · 2³⁰) or a number of bytes: plans the largest
                batch that fits.

        Returns: the plan: print it, or read `peak`, `peak_at`, `parameters`, `saved`, `rows`, ...

        Example:
            >>> from kerasish import Model
            >>> from kerasish.layers import Linear, Tanh
            >>> model = Model(Linear(32), Tanh(), Linear(1), device="cpu")
            >>> model.compile("sgd", "mse")
            >>> report = model.plan(1_000_000, input_shape=(8,))
            >>> report.peak_at, report.parameters
            ('backward of 0 Linear', 1344)
        """
        return insight.plan(self, batch_size, x, y, sample_weight, input_shape=input_shape,
                            training=training, budget=budget)
