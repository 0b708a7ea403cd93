"""What can be asked of a model besides training it: a method for each tool of `insight`."""

from typing import Any

from kerasish import insight
from kerasish.saving.errors import FilePath


class Inspectable:
    """A model that can be looked into; no question leaves a trace in it."""

    def check(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        tolerance: float = 1e-6,
        elements: int = 1,
        seed: int = 0,
    ) -> insight.CheckReport:
        """Compares the gradients of the whole model and its loss with finite differences.

            dL/dw · u ≈ (L(w + ε u) - L(w - ε u)) / 2ε        for a random direction u

        L is what training minimizes, penalties of regularizers and sample weights included, in
        training mode. A direction goes through all elements of a parameter, so that one wrong
        element among a million shows; it is then searched for. Works on a copy in float64 on the
        CPU, with the same noise in each pass. Nothing is raised where a gradient is wrong.

        Where the function has a kink, ReLU at 0 say, there is no derivative to compare with: "kink"
        means that backward is right close by.

        Raises: RuntimeError before compile, and for loss=None; TypeError or ValueError for data
            that do not fit, and for settings out of range; ValueError for a dx in another shape
            than x.

        Args:
            x: one batch, as `fit` takes samples; two or three of them tell as much as many.
            y: its targets.
            sample_weight: as many numbers, or None.
            tolerance: the largest error, as a share of the tensor's gradient, above 0.
            elements: how many elements of each tensor are looked at besides, 1 or more: the one
                with the largest gradient, and others at random. A tensor costs 2 passes forward for
                the direction, and 2 for each element.
            seed: decides directions, elements and noise.

        Returns: a report with `.passed`, `.rows` and `.culprit`, the first module that is wrong on
            the way back; it prints as a table.

        Example:
            >>> from kerasish import Model
            >>> from kerasish.layers import Linear, Tanh
            >>> model = Model(Linear(3), Tanh(), Linear(1), device="cpu")
            >>> model.compile(optimizer="sgd", loss="mse")
            >>> model.check([[0.5, -1.0]], [[1.0]]).passed
            True
        """
        return insight.check(self, x, y, sample_weight, tolerance, elements, seed)

    def communication_plan(self) -> insight.CommunicationPlan:
        """What processes that train together send each other in a step, and in which order.

        Gradients are added up in parts of 1 MB or more, the last layers' first. A part is sent as
        soon as the gradients in it, and those of all parts before it, are complete, while backward
        goes on; the order is the same in every step and every process. What has no weight decay,
        biases for instance, is the last part. In a class with a train_step of its own, and with
        accumulation or in bfloat16, all are sent after backward.

        Raises: RuntimeError before compile and build.

        Returns: a report with `parts` and `bytes`; it prints as a table.

        Example:
            >>> from kerasish import Model
            >>> from kerasish.layers import Linear, Tanh
            >>> model = Model(Linear(512), Tanh(), Linear(10), device="cpu")
            >>> model.compile("adam", "cross_entropy")
            >>> model.build((784,))
            (10,)
            >>> [part.after for part in model.communication_plan().parts]
            ['0.weight', '0.bias']
        """
        return insight.communication_plan(self)

    def explain(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> insight.Explanation:
        """The way of one batch forth and back, step by step: formulas, live shapes, norms.

        Each module comes with what it computes, then the loss with its value, and then, in order,
        what each backward computes: "dW (25, 2) = dyᵀ (25, 10) x (10, 2)", with the norms of dy, dx
        and each parameter's gradient, √Σ v². Parts of containers are indented. It is a step of
        training, with noise and batch statistics, in the model's own type; the first module gives
        its dx too, which training leaves out.

        Raises: RuntimeError before compile, and for loss=None; TypeError or ValueError for data
            that do not fit.

        Args:
            x: one batch, as `fit` takes samples.
            y: its targets.
            sample_weight: as many numbers, or None.

        Returns: an explanation: `print` it, `.to_html(path)`, or go through its `.steps`; notebooks
            show it by themselves.

        Example:
            >>> from kerasish import Model
            >>> from kerasish.layers import Linear
            >>> model = Model(Linear(1), device="cpu")
            >>> model.compile(optimizer="sgd", loss="mse")
            >>> shape = model.build((1,))
            >>> model.set_weights([[[1.0]], [0.0]])
            >>> print(model.explain([[1.0], [2.0]], [[1.0], [1.0]]))
            Forward
              Linear(1)   y = x Wᵀ + b
                  y (2, 1) = x (2, 1) Wᵀ (1, 1) + b (1,)
                  ‖y‖ 2.24
            <BLANKLINE>
            Loss
              MSE()   L = mean (y_pred - y_true)²
                  y_pred (2, 1), y_true (2, 1)
                  L = 0.5
            <BLANKLINE>
            Backward
              MSE()   dy_pred = 2 (y_pred - y_true) / n
                  dy_pred (2, 1)
                  ‖dy_pred‖ 1
              Linear(1)   dx = dy W,  dW = dyᵀ x,  db = Σ dy over all rows
                  dx (2, 1) = dy (2, 1) W (1, 1)
                  dW (1, 1) = dyᵀ (1, 2) x (2, 1)
                  db (1,) = Σ dy (2, 1)
                  ‖dy‖ 1   ‖dx‖ 1   ‖dW‖ 2   ‖db‖ 1
        """
        return insight.explain(self, x, y, sample_weight)

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
        Raises: RuntimeError before compile, and for loss=None; TypeError or ValueError for data
            that do not fit; ValueError for a model with nothing to train.

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
        what is at work in between. The data set that batches are cut from is not, nor are the
        losses of up to 64 batches, of a few bytes each, that wait to be added up.

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
            A cell that is blank stands for no bytes; a row that is blank for a module that is not
            called by itself, as an activation that the layer before it runs.

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

    def profile(
        self, x: Any, y: Any = None, sample_weight: Any = None, repeats: int | None = None
    ) -> insight.Profile:
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

    def replay(self, path: FilePath) -> insight.Replay:
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
        return insight.replay(self, path)
