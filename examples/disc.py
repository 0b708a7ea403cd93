"""Points in a disc: five ways to train a small net, and a picture of what it has learned.

The net 2-25-25-25-1 (ReLU, ReLU, Tanh, Tanh; mean squared error) learns from 1,000 points of the
unit square which of them lie in the disc that covers half of it; 1,000 other points test it.

    python examples/disc.py            one net, plain SGD, and a picture of its answers
    python examples/disc.py --table    all five ways, ten seeds each, in one table

Expected: on average over the seeds, 98.8 to 99.0 % of the test points right in each of the five
ways. The one net, the first of its row, has 99.2 %.
Time: 16 seconds, and 8 minutes for the table, on 2 cores of an AMD EPYC (Milan).
"""

import argparse
import sys
from pathlib import Path
from statistics import mean, stdev

import torch

from kerasish import Model, Sequential, datasets
from kerasish.callbacks import EarlyStopping
from kerasish.datasets.disc import RADIUS
from kerasish.layers import Linear, ReLU, Tanh
from kerasish.optimizers import SGD, Adam
from kerasish.schedules import CosineDecay, ExponentialDecay

PICTURE = Path(__file__).parent / "pictures" / "disc.png"

# Name, batch size, published train / test accuracy, optimizer for a run of so many updates, and
# more for fit. The rates were chosen on other seeds than those of the table.
PLAIN = ("SGD", 1, "98.7 / 97.5", lambda updates: SGD(CosineDecay(0.03, updates)), {})
WAYS = [
    PLAIN,
    ("SGD", 2, "97.6 / 96.5", lambda updates: SGD(CosineDecay(0.05, updates)), {}),
    ("SGD with momentum", 1, "98.7 / 97.2",
     lambda updates: SGD(CosineDecay(0.003, updates), momentum=0.9), {}),
    ("Adam", 10, "94.7 / 94.7", lambda updates: Adam(CosineDecay(0.005, updates)), {}),
    # A high rate makes the validation loss noisy, which uses patience up. So the rate is halved
    # every 4 of 100 epochs, and training stops when it is too small to change anything.
    ("SGD, early stopping", 1, "",
     lambda updates: SGD(ExponentialDecay(0.06, updates / 25, 0.5)),
     {"validation_split": 0.1, "callbacks": EarlyStopping(patience=10)}),
]


def train(way, seed, points, epochs, verbose=0):
    """Trains one net; its data, initial values and order follow from the seed."""
    _, batch_size, _, optimizer, more = way
    (x, y), test = datasets.disc(train=points, test=points, seed=seed)
    updates = epochs * round(points * (1 - more.get("validation_split", 0)) / batch_size)
    model = Model(Sequential(
        Linear(25), ReLU(), Linear(25), ReLU(), Linear(25), Tanh(), Linear(1), Tanh(),
    ))
    model.compile(optimizer=optimizer(updates), loss="mse", metrics=["accuracy"])
    model.fit(x, y, batch_size=batch_size, epochs=epochs, seed=seed, verbose=verbose, **more)
    return model, test, [
        100 * model.evaluate(*part, batch_size=1000, verbose=0, return_dict=True)["accuracy"]
        for part in ((x, y), test)
    ]


def table(seeds, points, epochs):
    """Prints mean ± standard deviation over the seeds for every way to train."""
    line = "{:<19}  {:>5}  {:>12}  {:>12}  {:<11}  {:>6}  {}".format
    lines = [line("", "batch", "train %", "test %", "published", "epochs", "optimizer")]
    for way in WAYS:
        name, batch_size, published, *_ = way
        results = []
        for seed in range(seeds):
            model, _, accuracies = train(way, seed, points, epochs)
            results.append((*accuracies, len(model.history.epoch)))
            print("{}, batch {}, seed {}: {:.1f} / {:.1f} after {} epochs".format(
                name, batch_size, seed, *results[-1]), file=sys.stderr)
        on_train, on_test, ran = zip(*results, strict=True)
        shown = [f"{mean(each):.2f} ± {stdev(each):.2f}" for each in (on_train, on_test)]
        lines.append(line(name, batch_size, *shown, published, round(mean(ran)), model.optimizer))
    print(*lines, sep="\n")


def draw(model, points, accuracy, path):
    """Saves what the net answers everywhere, what it should, and where it errs."""
    try:
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.figure import Figure  # not pyplot: this needs no screen
    except ModuleNotFoundError:
        print("No picture: it needs matplotlib. Install that with: pip install matplotlib")
        return
    blue, orange, ink = "#2f6690", "#d1603d", "#333333"
    soft = LinearSegmentedColormap.from_list("soft", ["#b9d3e6", "#fbf8f3", "#f6cdb9"])
    side, angle = torch.linspace(0, 1, 401), torch.linspace(0, 2 * torch.pi, 361)
    grid = torch.cartesian_prod(side, side).flip(1)  # row by row from below, as pictures lie
    field = model.predict(grid, batch_size=4096, verbose=0).reshape(401, 401)
    x, y = points
    wrong = (model.predict(x, verbose=0) > 0) != (y > 0).numpy()

    figure = Figure(figsize=(7, 7.5), layout="constrained")
    axes = figure.add_subplot(aspect="equal", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.imshow(field, cmap=soft, vmin=-1, vmax=1, extent=(0, 1, 0, 1), origin="lower",
                interpolation="nearest")  # smoothing would treble the file
    axes.contour(side, side, field, levels=[0], colors=ink)
    axes.plot([], color=ink, label="learned")  # a contour has no entry in the legend
    axes.plot(0.5 + RADIUS * angle.cos(), 0.5 + RADIUS * angle.sin(), "--", color=ink, alpha=0.6,
              linewidth=1.2, label="true circle")
    for label, value, colour in (("inside", 1, orange), ("outside", -1, blue)):
        axes.scatter(*x[y[:, 0] == value].T, s=9, color=colour, label=label)
    axes.scatter(*x[wrong[:, 0]].T, s=90, facecolors="none", edgecolors=ink, linewidths=1.4,
                 label=f"{wrong.sum()} wrong")
    axes.set_title(f"{accuracy:.1f} % of {len(x):,} test points right", fontsize=15)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"Picture: {path}")


def main(all_ways=False, seeds=10, points=1000, epochs=100, picture=PICTURE):
    """Runs the experiment; fewer seeds, points and epochs make a small one."""
    torch.set_num_threads(1)  # so small a net has no work for two: they would wait for each other
    if all_ways:
        table(seeds, points, epochs)
        return
    model, test, (on_train, on_test) = train(PLAIN, 0, points, epochs, verbose=1)
    print(f"Accuracy: {on_train:.1f} % of the training points, {on_test:.1f} % of the test points")
    draw(model, test, on_test, picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="train all five ways on ten seeds")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where to save it")
    arguments = parser.parse_args()
    main(arguments.table, picture=arguments.picture)
