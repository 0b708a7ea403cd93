"""Two inputs, two outputs, one net: a Graph with a loss for each output.

    python examples/two_heads.py

A bicycle for hire sees the weather and the calendar. From both it guesses how many will ride (a
number) and whether it will be busy (yes or no); what it learns for one helps the other. Inputs,
targets, losses and metrics go by name.

Expected: TODO
Time: TODO on one core of an AMD EPYC.
"""

import math
from pathlib import Path

import torch

from kerasish import Model
from kerasish.containers import Concat, Graph, Input, Sequential
from kerasish.layers import Embedding, Flatten, Linear, ReLU
from kerasish.optimizers import Adam

PICTURE = Path(__file__).parent / "pictures" / "two_heads.png"


def days(count: int):
    """Temperature, rain and wind; the day of the week; how many hundreds rode."""
    draws = torch.Generator().manual_seed(0)
    weather = torch.rand(count, 3, generator=draws)
    day = torch.randint(7, (count,), generator=draws)
    rides = 2 + 3 * torch.sin(math.pi * weather[:, 0]) - 2 * weather[:, 1] * weather[:, 2]
    return weather, day, rides + (day >= 5) + 0.2 * torch.randn(count, generator=draws)


def main(samples=3000, epochs=30, picture=PICTURE):
    """Trains both heads at once, says how good they are, and draws the curves."""
    torch.set_num_threads(1)  # so small a net has no work for two
    sky, day = Input((3,)), Input((1,))
    seen = Concat()((Sequential(Linear(32), ReLU())(sky),
                     Sequential(Embedding(7, 4), Flatten())(day)))
    thought = Sequential(Linear(32), ReLU())(seen)
    model = Model(Graph({"weather": sky, "day": day},
                        {"rides": Linear(1)(thought), "busy": Linear(1)(thought)}), device="cpu")
    model.compile(Adam(0.003), loss={"rides": "mse", "busy": "bce"},
                  loss_weights={"rides": 1.0, "busy": 0.5},
                  metrics={"rides": "mae", "busy": "accuracy"})

    weather, weekday, rides = days(samples)
    x = {"weather": weather, "day": weekday[:, None]}
    y = {"rides": rides, "busy": (rides > 4).float()}
    history = model.fit(x, y, batch_size=32, epochs=epochs, validation_split=0.2, seed=0, verbose=0)
    last = {name: values[-1] for name, values in history.history.items()}
    print(f"rides: {last['val_rides_mae']:.2f} hundred off on average; "
          f"busy or not: {100 * last['val_busy_accuracy']:.1f} % right")
    history.plot(picture)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
