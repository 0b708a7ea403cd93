"""Leaving: the same net in torch and in an ONNX file, compared.

    python examples/export.py

A trained ConvNet becomes a `torch.nn` module with the same weights and state names, whose outputs
and gradients agree, and an ONNX file that other programs run. Nothing is locked in.

Expected: outputs that agree to six digits; a file of 0.2 MB.
Time: TODO on one core of an AMD EPYC.
"""

import tempfile
from pathlib import Path

import torch

from kerasish import Model, datasets
from kerasish.export import to_onnx, to_torch
from kerasish.layers import BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU

PICTURE = Path(__file__).parent / "pictures" / "export.png"


def main(samples=5000, epochs=2, picture=PICTURE):
    """Trains, exports, compares, and draws the outputs of both nets against each other."""
    from matplotlib.figure import Figure  # pip install matplotlib

    torch.set_num_threads(1)
    (x, y), (x_test, _) = datasets.mnist()
    x, y, x_test = x[:samples] / 255, y[:samples], x_test[:200] / 255
    model = Model(Conv2d(8, kernel_size=3), BatchNorm2d(), ReLU(), MaxPool2d(2), Flatten(),
                  Linear(32), ReLU(), Linear(10), device="cpu")
    model.compile("adam", loss="cross_entropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=50, epochs=epochs, seed=0, verbose=2)

    net = to_torch(model).eval()
    print(f"{type(net).__name__} of torch.nn with the states {', '.join(net.state_dict())}")
    with torch.no_grad():
        theirs = net(x_test).numpy()
    ours = model.predict(x_test, verbose=0)
    print(f"outputs are at most {abs(ours - theirs).max():.1e} apart, of {abs(ours).max():.0f}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = Path(folder) / "net.onnx"
            to_onnx(model, path)
            print(f"ONNX file: {path.stat().st_size / 1e6:.1f} MB")
        except ImportError as error:
            print(error)

    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(theirs.ravel(), ours.ravel(), ".", markersize=2)
    axes.set(xlabel="scores in torch", ylabel="scores in kerasish", aspect="equal")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=150)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
