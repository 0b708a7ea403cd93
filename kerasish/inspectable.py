"""What can be asked of a model besides training it: a method for each tool of `insight`."""

from typing import Any

from kerasish import insight


class Inspectable:
    """A model that can be looked into; no question leaves a trace in it."""

    def per_sample_gradient_norms(
        self, x: Any, y: Any, sample_weight: Any = None
    ) -> insight.SampleNorms:
        """Which samples pull hardest at the weights: the norm of each sample's own gradient.

            nᵢ = ‖dLᵢ/dw‖, where Lᵢ is the loss of sample i as a batch of its own

        Samples that dominate are rare, hard or wrongly labelled. The net is in evaluation mode, so
        there is no noise and batch norms use their running statistics; penalties of regularizers
        are left out. Of Linear, Embedding and LayerNorm no gradient of a sample is made; of
        convolutions one at a time; other modules, and those with several uses, go back once for
        each sample. Sequences take memory for T² numbers a sample.

        Source: Goodfellow (2015), "Efficient Per-Example Gradient Computations".
        Raises: RuntimeError before compile; TypeError or ValueError for data that do not fit.

        Args:
            x: one batch, as `fit` takes it.
            y: its targets.
            sample_weight: as many numbers, which multiply the losses, or None.

        Returns: the norms: `total`, `by_parameter`, `largest(10)`; printed, a table.

        Example:
            >>> from kerasish import Model
            >>> from kerasish.layers import Linear
            >>> model = Model(Linear(1), device="cpu")
            >>> model.compile("sgd", loss="mse")
            >>> model.per_sample_gradient_norms([[0.0], [0.0]], [[0.0], [5.0]]).largest(1)
            [1]
        """
        return insight.per_sample_gradient_norms(self, x, y, sample_weight)
