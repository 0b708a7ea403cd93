"""History: what fit gives back, on its own and as a callback that carries state."""

import pytest

from kerasish import Model
from kerasish.callbacks import Callback, History
from kerasish.layers import Linear


def feed(history: History, epochs: range, **params) -> None:
    """Tells a History of epochs without any model."""
    history.set_params({"seed": 4} | params)
    history.on_train_begin({})
    for epoch in epochs:
        history.on_epoch_end(epoch, {"loss": 1.0 / (epoch + 1), "mae": float(epoch)})
    history.on_train_end({})


def test_it_keeps_one_value_an_epoch_under_each_name() -> None:
    history = History()
    feed(history, range(2, 4))
    assert history.epoch == [2, 3]
    assert history.history == {"loss": [1 / 3, 1 / 4], "mae": [2.0, 3.0]}
    assert history.seed == 4 and history.params["seed"] == 4


def test_a_name_that_is_not_logged_in_every_epoch_has_fewer_values() -> None:
    history = History()
    history.on_train_begin({})
    history.on_epoch_end(0, {"loss": 2.0})
    history.on_epoch_end(1, {"loss": 1.0, "val_loss": 3.0})
    history.on_epoch_end(2, None)
    assert history.epoch == [0, 1, 2]
    assert history.history == {"loss": [2.0, 1.0], "val_loss": [3.0]}


def test_names_keep_the_order_in_which_they_were_logged() -> None:
    history = History()
    history.on_train_begin({})
    history.on_epoch_end(0, {"loss": 1.0, "zeta": 1.0, "accuracy": 1.0})
    assert list(history.history) == ["loss", "zeta", "accuracy"]


def test_it_begins_anew_in_each_fit() -> None:
    history = History()
    feed(history, range(3))
    first = history.history
    feed(history, range(1), seed=5)
    assert history.epoch == [0] and history.seed == 5 and len(history.history["loss"]) == 1
    assert len(first["loss"]) == 3, "and leaves what it gave back before"


def test_its_state_goes_into_another_one_and_on_from_there() -> None:
    whole, first, second = History(), History(), History()
    feed(whole, range(4))
    feed(first, range(2))
    state = first.state_dict()
    first.on_epoch_end(99, {"loss": 99.0})
    second.on_train_begin({})
    second.load_state_dict(state)
    for epoch in (2, 3):
        second.on_epoch_end(epoch, {"loss": 1.0 / (epoch + 1), "mae": float(epoch)})
    assert (second.epoch, second.history) == (whole.epoch, whole.history)
    assert len(state["epoch"]) == 2, "a state is a copy"


def test_it_can_be_asked_before_any_fit() -> None:
    history = History()
    assert history.epoch == [] and history.history == {} and history.seed is None
    assert History().state_dict()["history"] == {}


def test_it_prints_as_something_short() -> None:
    history = History()
    feed(history, range(2))
    assert repr(history) == "History(2 epochs: loss, mae)"


@pytest.mark.parametrize("given", [0, 17], ids=["none", "one of the user's"])
def test_a_users_history_sees_what_fits_own_one_sees(given: int) -> None:
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs["added"] = float(epoch)

    model, own = Model(Linear(1), device="cpu"), History()
    model.compile(optimizer="sgd", loss="mse")
    history = model.fit([[0.0], [1.0]], [[0.0], [1.0]], epochs=2, verbose=0, seed=given,
                        callbacks=[Adds(), own])
    assert own is not history and own.history == history.history and own.seed == given
