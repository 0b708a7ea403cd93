"""A character LSTM that learns to write as Python's own documentation does.

    python examples/characters.py

Python ships with the text behind its `help()`: the LSTM reads it in pieces of 64 characters and
learns to guess the next one after each. Then it goes on from a beginning by itself, drawing each
character from what it thinks comes next.

Expected: 68 % of the characters in text that it has not seen are guessed; it writes words, and
sentences that almost make sense.
Time: 18 seconds on one core of an AMD EPYC.
"""

from pathlib import Path
from pydoc_data.topics import topics

import torch

from kerasish import Model
from kerasish.layers import LSTM, Embedding, Linear
from kerasish.losses import CrossEntropy
from kerasish.optimizers import Adam

PICTURE = Path(__file__).parent / "pictures" / "characters.png"
LENGTH = 64


def main(characters=300_000, epochs=8, written=240, picture=PICTURE):
    """Trains, prints what the net writes, and draws the loss."""
    torch.set_num_threads(1)
    text = "".join(topics[name] for name in sorted(topics))[:characters]
    letters = sorted(set(text))
    numbers = torch.tensor([letters.index(letter) for letter in text])
    count = (len(numbers) - 1) // LENGTH
    x, y = (numbers[shift : shift + count * LENGTH].view(count, LENGTH) for shift in (0, 1))

    model = Model(Embedding(len(letters), 32), LSTM(192, return_sequences=True),
                  Linear(len(letters)), device="cpu")
    model.compile(Adam(0.004, global_clipnorm=1.0), CrossEntropy(axis=-1), metrics=["accuracy"])
    history = model.fit(x, y, batch_size=32, epochs=epochs, validation_split=0.1, seed=0, verbose=2)

    draws, said = torch.Generator().manual_seed(0), "The statement "
    for _ in range(written):
        seen = torch.tensor([[letters.index(letter) for letter in said[-LENGTH:]]])
        scores = torch.from_numpy(model.predict(seen, verbose=0))[0, -1]
        said += letters[int(torch.multinomial((scores / 0.6).softmax(0), 1, generator=draws))]
    print(f"\n{said}\n")
    history.plot(picture)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
