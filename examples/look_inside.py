"""A net looked into: before, while and after it learns, with one call for each question.

A net like that of examples/disc.py learns from 1,000 points, of which five have the wrong label. It
is asked what a step needs and does, whether its gradients are right, which rate to train with, what
goes wrong in training, and which samples pull at it. No question leaves a trace in it.

    python examples/look_inside.py

Expected: all gradients pass; with a rate of 1, alarms of silent units and large updates, and none
with the suggested rate; 96 % right; points at the boundary pull hardest, but at the last layer four
of the five wrong ones are among the first ten; four pictures.
Time: 10 seconds on 2 cores of an AMD EPYC (Milan).
"""

import argparse
from pathlib import Path

import torch

from kerasish import Model, datasets, lr_find, set_seed
from kerasish.callbacks import HealthMonitor
from kerasish.insight import plot_confusion_matrix, plot_decision_boundary
from kerasish.layers import Linear, ReLU, Tanh
from kerasish.optimizers import SGD

PICTURES = Path(__file__).parent / "pictures"
WRONG = [3, 141, 592, 653, 897]
"""The points whose labels are turned round."""


def net(optimizer):
    """The net, compiled."""
    set_seed(0)
    model = Model(Linear(25), ReLU(), Linear(25), ReLU(), Linear(25), Tanh(), Linear(1),
                  device="cpu")
    model.compile(optimizer, loss="bce", metrics=["accuracy"])
    return model


def ask(question, answer):
    """Prints a question and what the answer is."""
    print(f"\n== {question}\n{answer}")


def main(points=1000, epochs=60, pictures=PICTURES):
    """Asks all questions; fewer points and epochs make a small one."""
    torch.set_num_threads(1)  # so small a net has no work for two
    (x, y), _ = datasets.disc(train=points, test=2, seed=0)
    wrong = [place for place in WRONG if place < points]
    y = (y > 0).float()
    y[wrong] = 1 - y[wrong]
    model, batch = net("adam"), (x[:32], y[:32])

    ask("How much memory does a step take, and where most?", model.plan(32, x, y))
    ask("Are the gradients right?", model.check(*batch))
    ask("What happens in a step?", model.explain(*batch))
    ask("Where does the time go?", model.profile(*batch))
    found = lr_find(model, x, y)
    ask("Which learning rate?", f"{found.suggestion:.2g}")

    monitor = HealthMonitor()
    net(SGD(1.0, momentum=0.9)).fit(x, y, epochs=epochs, seed=0, verbose=0, callbacks=monitor)
    ask("What went wrong with a rate of 1?", "\n".join(each.kind for each in monitor.alarms))
    monitor = HealthMonitor()
    model.optimizer.learning_rate = found.suggestion
    history = model.fit(x, y, epochs=epochs, seed=0, verbose=0, callbacks=monitor)
    ask("And with the suggested one?", f"{len(monitor.alarms)} alarms, accuracy "
                                       f"{history.history['accuracy'][-1]:.1%}")
    norms = model.per_sample_gradient_norms(x, y)
    ask("Which samples pull hardest?", norms)
    last = norms.by_parameter["6.bias"].argsort()[::-1][:10]
    print(f"Wrong labels among the ten at the last layer: "
          f"{len(set(last) & set(wrong))} of {len(wrong)}")

    pictures.mkdir(parents=True, exist_ok=True)
    found.plot(pictures / "lr_find.png")
    history.plot(pictures / "history.png")
    plot_decision_boundary(model, x, y, pictures / "boundary.png", names=("outside", "inside"))
    plot_confusion_matrix(model, x, y, pictures / "confusion.png", names=("outside", "inside"))
    print(f"Pictures: lr_find.png, history.png, boundary.png and confusion.png in {pictures}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="where to save them")
    main(pictures=parser.parse_args().pictures)
