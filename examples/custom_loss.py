"""A loss and a callback of your own: predicting a range instead of a number.

    python examples/custom_loss.py

The pinball loss punishes too low and too high answers differently, so that nine tenths of the
targets come to lie below the answer (or one tenth). It is two methods. The callback looks at the
share after each epoch and puts it into the logs, where every other callback can see it.

Expected: TODO
Time: TODO on one core of an AMD EPYC.
"""

from pathlib import Path

import torch

from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.layers import Linear, Tanh
from kerasish.losses import Loss
from kerasish.optimizers import Adam

PICTURE = Path(__file__).parent / "pictures" / "custom_loss.png"


class Pinball(Loss):
    """q · error below the target, (1 - q) · error above it: Koenker & Bassett (1978)."""

    def __init__(self, q=0.5):
        super().__init__()
        self.q = q

    def forward(self, y_pred, y_true, sample_weight=None):
        error = self.matched(y_pred, y_true) - y_pred
        shares = self.shares(sample_weight, error)  # 1 / n, or the weights of samples / n
        self.save_for_backward(error, shares)
        return self.total(torch.maximum(self.q * error, (self.q - 1) * error), shares)

    def backward(self):
        error, shares = self.saved_tensors()
        return torch.where(error > 0, -self.q, 1 - self.q) * shares


class Coverage(Callback):
    """Logs which share of the targets lies below the answers."""

    adds_to_logs = ("below",)

    def __init__(self, x, y):
        self.x, self.y = x, y

    def on_epoch_end(self, epoch, logs=None):
        logs["below"] = float((self.y.numpy() < self.model.predict(self.x, verbose=0)).mean())


def main(samples=2000, epochs=60, picture=PICTURE):
    """Trains three nets, one for each line, and draws them."""
    from matplotlib.figure import Figure  # pip install matplotlib

    torch.set_num_threads(1)  # so small a net has no work for two
    x = torch.rand(samples, 1, generator=torch.Generator().manual_seed(0)) * 4 - 2
    noise = torch.randn(samples, 1, generator=torch.Generator().manual_seed(1))
    y = torch.sin(2 * x) + (0.1 + 0.2 * x.abs()) * noise

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes, grid = figure.subplots(), torch.linspace(-2, 2, 200)[:, None]
    axes.scatter(x, y, s=3, color="0.75")
    for q in (0.9, 0.5, 0.1):
        model = Model(Linear(32), Tanh(), Linear(32), Tanh(), Linear(1), device="cpu")
        model.compile(Adam(0.003), loss=Pinball(q))
        history = model.fit(x, y, batch_size=32, epochs=epochs, seed=0, verbose=0,
                            callbacks=Coverage(x, y))
        print(f"q {q}: {100 * history.history['below'][-1]:.1f} % of the targets are below")
        axes.plot(grid, model.predict(grid, verbose=0), label=f"q = {q}")
    axes.legend()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
