"""Regression that knows when to stop: how diabetes goes on in a year.

    python examples/regression.py

Ten measurements of 442 patients, from scikit-learn, say how far the disease has come a year later.
So few samples are learned by heart in no time: EarlyStopping ends training when the patients that
are held back get no better, and puts the best weights back.

Expected: TODO
Time: TODO on one core of an AMD EPYC.
"""

from pathlib import Path

import torch

from kerasish import Model
from kerasish.callbacks import EarlyStopping
from kerasish.layers import Linear, ReLU
from kerasish.optimizers import Adam

PICTURE = Path(__file__).parent / "pictures" / "regression.png"


def main(epochs=500, picture=PICTURE):
    """Trains, compares with always answering the mean, and draws the curves."""
    from sklearn.datasets import load_diabetes  # pip install scikit-learn

    torch.set_num_threads(1)  # so small a net has no work for two
    x, y = load_diabetes(return_X_y=True)
    x, y = x / x.std(0), y / 100
    (x, x_test), (y, y_test) = (x[:342], x[342:]), (y[:342], y[342:])

    model = Model(Linear(64), ReLU(), Linear(64), ReLU(), Linear(1), device="cpu")
    model.compile(Adam(0.001, weight_decay=0.01), loss="mse", metrics=["mae", "r2"])
    stopping = EarlyStopping("val_loss", patience=20, restore_best_weights=True)
    history = model.fit(x, y, batch_size=32, epochs=epochs, validation_split=0.2, seed=0,
                        verbose=0, callbacks=stopping)

    found = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print(f"stopped after {len(history.epoch)} epochs; the best was {stopping.best_epoch + 1}")
    print(f"error on new patients: {found['mae']:.2f}, R² {found['r2']:.2f}; "
          f"always the mean: {abs(y_test - y.mean()).mean():.2f}")
    history.plot(picture, names=["loss", "mae"])
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
