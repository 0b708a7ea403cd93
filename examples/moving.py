"""Moving from torch and from Keras: the same net, the same numbers.

    python examples/moving.py

On the left what a torch user writes, on the right the same here; the weights are copied over, and
both train ten steps: losses and weights agree. Layers have torch's names and state dicts, training
has Keras' words; what a Keras user writes stands in the comments.

Expected: ten losses that agree to seven digits.
Time: TODO on one core of an AMD EPYC.
"""

from pathlib import Path

import torch
from torch import nn

from kerasish import Model
from kerasish.layers import BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU
from kerasish.optimizers import Adam

PICTURE = Path(__file__).parent / "pictures" / "moving.png"


def in_torch(x, y, batch_size):
    """The net and its loop as most people write them."""
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Flatten(), nn.Linear(8 * 13 * 13, 10))
    start = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    measure, losses = nn.CrossEntropyLoss(), []
    for i in range(0, len(x), batch_size):
        optimizer.zero_grad()
        loss = measure(net(x[i : i + batch_size]), y[i : i + batch_size])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return start, losses, net.state_dict()


def here(x, y, batch_size, start):
    """The same; sizes are inferred, and the loop is `fit`."""
    # keras.Sequential([keras.layers.Conv2D(8, 3), keras.layers.BatchNormalization(), ...
    model = Model(Conv2d(8, kernel_size=3), BatchNorm2d(), ReLU(), MaxPool2d(2), Flatten(),
                  Linear(10), device="cpu")
    # model.compile(keras.optimizers.Adam(0.001), keras.losses.SparseCategoricalCrossentropy(
    #     from_logits=True))
    model.compile(Adam(0.001), loss="cross_entropy")
    model.build(tuple(x.shape[1:]))
    model.module.load_state_dict(start)  # torch's names: "0.weight", "1.running_mean"
    losses = []
    for i in range(0, len(x), batch_size):  # model.fit(x, y, shuffle=False), to see each loss
        losses.append(model.train_on_batch(x[i : i + batch_size], y[i : i + batch_size]))
    return losses, model.module.state_dict()


def main(steps=10, batch_size=32, picture=PICTURE):
    """Trains both, prints how far they are apart, and draws the losses."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(steps * batch_size, 1, 28, 28)
    y = torch.randint(10, (len(x),))
    start, theirs, their_weights = in_torch(x, y, batch_size)
    ours, our_weights = here(x, y, batch_size, start)
    print("losses:", *(f"{loss:.6f}" for loss in ours))
    apart = max(abs(ours[i] - theirs[i]) for i in range(steps))
    weights_apart = max(float((our_weights[name] - value).abs().max())
                        for name, value in their_weights.items())
    print(f"at most {apart:.1e} from torch's; weights at most {weights_apart:.1e}")

    from matplotlib.figure import Figure  # pip install matplotlib
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(theirs, color="0.7", linewidth=6, label="torch")
    axes.plot(ours, color="C0", label="kerasish")
    axes.set(xlabel="step", ylabel="loss")
    axes.legend()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
