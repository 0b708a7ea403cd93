"""Modules that are made of modules."""

from torch import nn

from kerasish.containers import Sequential
from kerasish.layers import Dropout, Flatten, LeakyReLU, Linear, ReLU, Sigmoid, Tanh
from tests.table.row import Row


def _tied() -> Sequential:
    shared = Linear(3)
    return Sequential(shared, Tanh(), shared, Tanh(), shared)


def _tied_twin() -> nn.Module:
    shared = nn.Linear(3, 3)
    return nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), shared)


def _tied_blocks() -> Sequential:
    block, squash = Sequential(Linear(3), LeakyReLU(0.3)), Tanh()
    return Sequential(block, squash, block, squash)


def _tied_blocks_twin() -> nn.Module:
    block, squash = nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(0.3)), nn.Tanh()
    return nn.Sequential(block, squash, block, squash)


ROWS = [
    Row("Sequential of nothing", Sequential, (5,), nn.Sequential),
    Row("Sequential of one", lambda: Sequential(Linear(4)), (3,),
        lambda: nn.Sequential(nn.Linear(3, 4))),
    Row("Sequential with activations in place",
        lambda: Sequential(Linear(4), ReLU(), Linear(4), LeakyReLU(0.3), Linear(3), Tanh(),
                           Linear(2), Sigmoid()), (3,),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.LeakyReLU(0.3),
                              nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2), nn.Sigmoid())),
    Row("Sequential of activations alone", lambda: Sequential([Tanh(), ReLU(), Sigmoid()]), (5,),
        lambda: nn.Sequential(nn.Tanh(), nn.ReLU(), nn.Sigmoid())),
    Row("Sequential in Sequential",
        lambda: Sequential(Sequential(Linear(4), Tanh()), Sequential(Sequential(Linear(3))),
                           LeakyReLU(0.3)), (3,),
        lambda: nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Tanh()),
                              nn.Sequential(nn.Sequential(nn.Linear(4, 3))), nn.LeakyReLU(0.3))),
    Row("Sequential with one Linear thrice", _tied, (3,), _tied_twin),
    Row("Sequential with one Sequential twice", _tied_blocks, (3,), _tied_blocks_twin),
    Row("Sequential with Flatten between",
        lambda: Sequential(Linear(4), Flatten(), Tanh(), Linear(2)), (2, 3),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Flatten(), nn.Tanh(), nn.Linear(8, 2))),
    Row("Sequential with Dropout between",
        lambda: Sequential(Linear(6), Dropout(0.3), Tanh(), Dropout(0), Linear(2)), (3,),
        lambda: nn.Sequential(nn.Linear(3, 6), nn.Dropout(0.3), nn.Tanh(), nn.Dropout(0),
                              nn.Linear(6, 2)), random=True),
    Row("Sequential with a stem that trains nothing",
        lambda: Sequential(Flatten(), Sigmoid(), Linear(2), ReLU()), (2, 3),
        lambda: nn.Sequential(nn.Flatten(), nn.Sigmoid(), nn.Linear(6, 2), nn.ReLU())),
]

EQUIVALENT = {
    r"Sequential\.backward: .*index, dx = \(0, dy\) \+ index, dx = \(1, dy\)$":
        "the loop sets the index before anything can fail",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
