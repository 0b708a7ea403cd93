"""What optimizers ask of the loop: micro-batches, averages of weights, penalties, limits."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import SGD, Adam
from kerasish.regularizers import L2
from tests.table import numbers, seeded

X, Y = numbers(10, 3).float(), numbers(10, 2, seed=1).float()


def model_with(optimizer: Any, loss: Any = "mse", **more: Any) -> Model:
    with seeded():
        model = Model(Linear(4, **more), Tanh(), Linear(2), device="cpu")
        model.build((3,))
    model.compile(optimizer, loss)
    return model


def weights(model: Model) -> np.ndarray:
    return torch.cat([p.data.flatten() for p in model.module.parameters()]).numpy().copy()


# ---- micro-batches --------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [{}, {"clipnorm": 0.1}, {"global_clipnorm": 0.1},
                                  {"clipvalue": 0.05}])
def test_micro_batches_of_any_size_equal_the_big_batch(clip: dict) -> None:
    whole = model_with(SGD(0.5, **clip))
    whole.fit(X, Y, batch_size=10, shuffle=False, verbose=0)
    parts = model_with(SGD(0.5, gradient_accumulation_steps=3, **clip))
    parts.fit(X, Y, batch_size=4, shuffle=False, verbose=0)  # rows 4, 4 and 2
    assert parts.optimizer.iterations == whole.optimizer.iterations == 1
    np.testing.assert_allclose(weights(parts), weights(whole), rtol=1e-5, atol=1e-7)


def test_leftovers_are_used_at_the_end_of_the_epoch_with_their_true_count() -> None:
    model, twin = model_with(SGD(0.5, gradient_accumulation_steps=2)), model_with(SGD(0.5))
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        twin.train_on_batch(X[:8], Y[:8])
        twin.train_on_batch(X[8:], Y[8:])
    assert model.optimizer.iterations == 4
    np.testing.assert_allclose(weights(model), weights(twin), rtol=1e-5, atol=1e-7)


def test_training_batch_by_batch_gathers_across_calls() -> None:
    model, twin = model_with(SGD(0.5, gradient_accumulation_steps=2)), model_with(SGD(0.5))
    before = weights(model)
    model.train_on_batch(X[:6], Y[:6])
    assert np.array_equal(weights(model), before)
    model.train_on_batch(X[6:], Y[6:])
    twin.train_on_batch(X, Y)
    np.testing.assert_allclose(weights(model), weights(twin), rtol=1e-5, atol=1e-7)


def test_a_step_that_fails_takes_its_micro_batches_with_it() -> None:
    model = model_with(SGD(0.5, gradient_accumulation_steps=2))
    model.train_on_batch(X[:6], Y[:6])
    backward = Tanh.backward
    Tanh.backward = lambda self, dy: 1 / 0
    model.module.layers = (*model.module.layers[:1], type("Own", (Tanh,), {})(),
                           *model.module.layers[2:])
    model.module._planned_at = -1
    try:
        with pytest.raises(ZeroDivisionError):
            model.train_on_batch(X[6:], Y[6:])
    finally:
        Tanh.backward = backward
    assert model.optimizer.gathered_batches == 0
    assert not any(p.grad.any() for p in model.module.parameters())


# ---- averages of weights --------------------------------------------------------------------


def test_averages_of_weights_replace_them_at_the_end_of_fit() -> None:
    model = model_with(SGD(0.1, use_ema=True, ema_momentum=0.5))
    twin = model_with(SGD(0.1))
    model.fit(X, Y, batch_size=5, epochs=1, shuffle=False, verbose=0)
    seen = []
    for rows in (slice(5), slice(5, 10)):
        twin.train_on_batch(X[rows], Y[rows])
        seen.append(weights(twin))
    np.testing.assert_allclose(weights(model), (seen[0] + seen[1]) / 2, rtol=1e-5, atol=1e-7)


# ---- penalties and limits -------------------------------------------------------------------


def test_penalties_are_part_of_the_loss_and_of_the_gradient() -> None:
    model, plain = model_with(SGD(0.1), weight_regularizer=L2(0.3)), model_with(SGD(0.1))
    weight = model.module[0].weight.data.clone()
    penalty = float(0.3 * weight.square().sum())
    loss = plain.evaluate(X, Y, verbose=0)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(loss + penalty, rel=1e-5)
    logged = model.fit(X, Y, batch_size=10, verbose=0).history["loss"][0]
    assert logged == pytest.approx(loss + penalty, rel=1e-5)
    plain.fit(X, Y, batch_size=10, verbose=0)
    moved = plain.module[0].weight.data - 0.1 * 2 * 0.3 * weight
    torch.testing.assert_close(model.module[0].weight.data, moved)


def test_a_frozen_weight_has_no_penalty() -> None:
    model, plain = model_with(SGD(0.1), weight_regularizer="l2"), model_with(SGD(0.1))
    model.module[0].trainable = False
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(plain.evaluate(X, Y, verbose=0))


def test_penalties_do_not_grow_with_the_number_of_micro_batches() -> None:
    one = model_with(SGD(0.5), weight_regularizer=L2(0.3))
    three = model_with(SGD(0.5, gradient_accumulation_steps=3), weight_regularizer=L2(0.3))
    one.fit(X, Y, batch_size=10, shuffle=False, verbose=0)
    three.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(weights(three), weights(one), rtol=1e-5, atol=1e-7)


def test_a_constraint_holds_after_every_update() -> None:
    model = model_with(Adam(0.1), weight_constraint="non_neg")
    model.fit(X, Y, batch_size=2, epochs=3, verbose=0)
    assert (model.module[0].weight.data >= 0).all() and (model.module[2].weight.data < 0).any()


def test_a_module_may_learn_at_a_rate_of_its_own() -> None:
    slow, plain = model_with(SGD(0.1)), model_with(SGD(0.1))
    slow.module[0].learning_rate_multiplier = 0.5
    before = [copy.deepcopy(part.module[0].state_dict()) for part in (slow, plain)]
    for model in (slow, plain):
        model.fit(X, Y, batch_size=10, verbose=0)
    half, full = (model.module[0].weight.data - start["weight"]
                  for model, start in zip((slow, plain), before, strict=True))
    torch.testing.assert_close(half, full / 2, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(slow.module[2].weight.data, plain.module[2].weight.data)
