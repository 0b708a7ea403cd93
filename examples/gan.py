"""Two nets against each other: a GAN learns to draw points on a ring.

    python examples/gan.py

The discriminator is the model: it learns to tell real points from made ones. What its backward
sends on to its input is what the generator learns from. `train_step` says so in fifteen lines;
epochs, logs, callbacks, Ctrl-C and backups stay what they are.

Expected: made points have a radius of 0.992 ± 0.080; real ones have 1 ± 0.05.
Time: 8 seconds on one core of an AMD EPYC.
"""

import argparse
import math
from pathlib import Path

import torch

from kerasish import Model, Sequential, set_seed
from kerasish.layers import LeakyReLU, Linear, ReLU
from kerasish.optimizers import Adam

LATENT = 4
PICTURE = Path(__file__).parent / "pictures" / "gan.png"


class GAN(Model):
    """A discriminator, with the generator that it is to be fooled by."""

    def __init__(self, discriminator, generator):
        super().__init__(discriminator, device="cpu")
        self.generator = generator
        generator.build((LATENT,))
        self.generator_optimizer = Adam(1e-3, beta_1=0.5).build(generator.parameters())

    def train_step(self, x, y=None, sample_weight=None):
        """First the discriminator learns what is real, then the generator what would pass."""
        real, made = x.new_ones(len(x), 1), x.new_zeros(len(x), 1)
        points = self.generator(torch.randn(len(x), LATENT))
        losses = []
        for each, label in ((x, real), (points, made)):
            losses.append(self.loss(self.module(each), label))
            self.backward(self.loss.backward())
        self.step()

        fooled = self.loss(self.module(points), real)
        self.generator.backward(self.module.backward(self.loss.backward()))
        self.generator_optimizer.step()
        self.generator_optimizer.zero_grad()
        self.optimizer.zero_grad()  # this time the discriminator was only passed through
        return {"loss": sum(losses), "generator_loss": fooled}


def ring(points: int) -> torch.Tensor:
    """Points around a circle of radius 1, a little beside it."""
    angle = 2 * math.pi * torch.rand(points, 1)
    return torch.cat([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(points, 2)


def main(epochs=60, points=4096, picture=PICTURE):
    """Trains, says how far from the ring the made points are, and draws them."""
    torch.set_num_threads(1)  # so small a net has no work for two: they would wait for each other
    set_seed(0)
    x = ring(points)
    gan = GAN(Sequential(Linear(64), LeakyReLU(0.2), Linear(64), LeakyReLU(0.2), Linear(1)),
              Sequential(Linear(64), ReLU(), Linear(64), ReLU(), Linear(2)))
    gan.compile(Adam(1e-3, beta_1=0.5), loss="bce")
    gan.fit(x, batch_size=128, epochs=epochs, verbose=2, seed=0)

    made = gan.generator.eval()(torch.randn(1000, LATENT))
    radius = made.norm(dim=1)
    print(f"radius of made points: {radius.mean():.3f} ± {radius.std():.3f} (real: 1 ± 0.05)")
    draw(x[:1000], made, picture)


def draw(real: torch.Tensor, made: torch.Tensor, path: Path) -> None:
    """Real points beside made ones."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("No picture: it needs matplotlib. Install that with: pip install matplotlib")
        return
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    for axes, points, title in zip(figure.subplots(1, 2, sharex=True, sharey=True),
                                   (real, made), ("real", "made"), strict=True):
        axes.scatter(*points.T.numpy(), s=4, alpha=0.6)
        axes.set(title=title, aspect="equal")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(f"Picture: {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where to save it")
    arguments = parser.parse_args()
    main(arguments.epochs, picture=arguments.picture)
