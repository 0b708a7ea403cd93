"""A net that dies, and the sentence that says so.

    python examples/dying_relu.py

With a high rate and momentum, one bad step pushes the biases of a ReLU layer so low that no sample
reaches its units again: their gradient is 0 from then on, and nothing in the loss says why it stays
where it is. HealthMonitor does. The same net with LeakyReLU goes on learning.

Expected: TODO
Time: TODO on one core of an AMD EPYC.
"""

from pathlib import Path

import torch

from kerasish import Model, datasets
from kerasish.callbacks import HealthMonitor
from kerasish.layers import LeakyReLU, Linear, ReLU, Tanh
from kerasish.optimizers import SGD

PICTURE = Path(__file__).parent / "pictures" / "dying_relu.png"


def main(points=1000, epochs=40, picture=PICTURE):
    """Trains both nets, prints the alarms, and draws both losses."""
    from matplotlib.figure import Figure  # pip install matplotlib

    torch.set_num_threads(1)  # so small a net has no work for two
    (x, y), _ = datasets.disc(train=points, seed=0)
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for activation in (ReLU, LeakyReLU):
        layers = [layer for _ in range(4) for layer in (Linear(25), activation())]
        model = Model(*layers, Linear(1), Tanh(), device="cpu")
        model.compile(SGD(0.15, momentum=0.9), loss="mse", metrics=["accuracy"])
        monitor = HealthMonitor()
        history = model.fit(x, y, epochs=epochs, seed=1, verbose=0, callbacks=monitor)
        print(f"{activation.__name__}: {100 * history.history['accuracy'][-1]:.1f} % right, "
              f"{len(monitor.alarms)} alarms")
        axes.plot(range(1, epochs + 1), history.history["loss"], label=activation.__name__)
        for alarm in monitor.alarms[:1]:
            axes.axvline(alarm.epoch + 1, color="0.6", linestyle=":")
            axes.annotate("first alarm", (alarm.epoch + 1.2, 0.5), color="0.4")
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    axes.legend()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
