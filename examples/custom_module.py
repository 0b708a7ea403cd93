"""A module of your own, and the proof that its gradient is right.

    python examples/custom_module.py

Write forward, write its derivative, and ask `check_gradients`: it compares both gradients with
finite differences and names the number that is wrong. The layer here bends its input by sine waves
whose frequencies it learns; a net of two of them draws a curve that ReLU has trouble with.

Expected: TODO
Time: TODO on one core of an AMD EPYC.
"""

from pathlib import Path

import torch

from kerasish import Model, Module, Parameter
from kerasish.gradcheck import check_gradients
from kerasish.layers import Linear, ReLU
from kerasish.optimizers import Adam

PICTURE = Path(__file__).parent / "pictures" / "custom_module.png"


class Wave(Module):
    """y = sin(w x), with a frequency w for each feature."""

    formula = "y = sin(w x)"
    backward_formula = "dx = w cos(w x) dy,  dw = Σ x cos(w x) dy"

    def build(self, shape):
        self.weight = Parameter(torch.linspace(1, 8, shape[-1]))
        return shape

    def forward(self, x):
        self.save_for_backward(x)
        return torch.sin(self.weight.data * x)

    def backward(self, dy):
        (x,) = self.saved_tensors()
        slope = torch.cos(self.weight.data * x) * dy
        self.weight.grad += (x * slope).sum(0)
        return self.weight.data * slope


class Forgetful(Wave):
    """The same, with a factor left out: check_gradients will say where."""

    def backward(self, dy):
        (x,) = self.saved_tensors()
        slope = torch.cos(self.weight.data * x) * dy
        self.weight.grad += slope.sum(0)
        return self.weight.data * slope


def main(epochs=300, picture=PICTURE):
    """Checks both layers, trains a net with the right one and one with ReLU, draws both."""
    torch.set_num_threads(1)  # so small a net has no work for two
    check_gradients(Wave(), torch.randn(5, 3))
    print("Wave: every gradient is right")
    try:
        check_gradients(Forgetful(), torch.randn(5, 3))
    except ValueError as error:
        print(f"Forgetful: {error}")

    x = torch.linspace(-1, 1, 200)[:, None]
    y = torch.sin(9 * x) * x.exp() + 0.3 * torch.sin(25 * x)
    answers = {}
    for name, bend in (("Wave", Wave), ("ReLU", ReLU)):
        model = Model(Linear(32), bend(), Linear(32), bend(), Linear(1), device="cpu")
        model.compile(Adam(0.003), loss="mse")
        history = model.fit(x, y, batch_size=20, epochs=epochs, seed=0, verbose=0)
        answers[name] = model.predict(x, verbose=0)
        print(f"loss with {name}: {history.history['loss'][-1]:.5f}")

    from matplotlib.figure import Figure  # pip install matplotlib
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(x, y, color="0.7", linewidth=5, label="the curve")
    for name, answer in answers.items():
        axes.plot(x, answer, label=name)
    axes.legend()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
