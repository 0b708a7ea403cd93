"""Initial values: torch's numbers where torch has them, the statistics of the formulas, names."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from kerasish import initializers
from kerasish.initializers import (
    Constant,
    Identity,
    Initializer,
    KaimingNormal,
    KaimingUniform,
    LeCunNormal,
    LeCunUniform,
    Normal,
    Ones,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
    XavierNormal,
    XavierUniform,
    Zeros,
    fan_in,
    fan_out,
    squared_gain,
)
from kerasish.layers import Linear

init = nn.init
TWINS: list[tuple[Initializer, Callable[[torch.Tensor], torch.Tensor]]] = [
    (KaimingNormal(), init.kaiming_normal_),
    (KaimingNormal(0.3, "fan_out"), lambda w: init.kaiming_normal_(w, 0.3, "fan_out")),
    (KaimingNormal(nonlinearity="tanh"), lambda w: init.kaiming_normal_(w, nonlinearity="tanh")),
    (KaimingUniform(), init.kaiming_uniform_),
    (KaimingUniform(math.sqrt(5)), lambda w: init.kaiming_uniform_(w, math.sqrt(5))),
    (KaimingUniform(mode="fan_out", nonlinearity="relu"),
     lambda w: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu")),
    (XavierNormal(), init.xavier_normal_),
    (XavierNormal(1.5), lambda w: init.xavier_normal_(w, 1.5)),
    (XavierUniform(), init.xavier_uniform_),
    (XavierUniform(1.5), lambda w: init.xavier_uniform_(w, 1.5)),
    (Orthogonal(), init.orthogonal_), (Orthogonal(2.0), lambda w: init.orthogonal_(w, 2.0)),
    (Normal(1.0, 2.0), lambda w: init.normal_(w, 1.0, 2.0)),
    (Uniform(-1.0, 2.0), lambda w: init.uniform_(w, -1.0, 2.0)),
    (Constant(0.3), lambda w: init.constant_(w, 0.3)), (Ones(), init.ones_), (Zeros(), init.zeros_),
]


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (6, 2, 3), (2, 3, 3, 2), (1, 1)])
@pytest.mark.parametrize(("initializer", "twin"), TWINS, ids=[repr(each) for each, _ in TWINS])
def test_the_numbers_are_those_of_torch(initializer: Initializer, twin: Any,
                                        shape: tuple[int, ...]) -> None:
    torch.manual_seed(7)
    w = initializer(shape)
    torch.manual_seed(7)
    torch.testing.assert_close(w, twin(torch.empty(shape)), rtol=1e-6, atol=1e-6)


# ---- statistics -----------------------------------------------------------------------------


SHAPE = (200, 30, 5)
FAN_IN, FAN_OUT = 150, 1000
VARIANCES = [
    (KaimingNormal(), 2 / FAN_IN), (KaimingUniform(), 2 / FAN_IN),
    (KaimingNormal(mode="fan_out"), 2 / FAN_OUT), (KaimingUniform(0.5), 2 / 1.25 / FAN_IN),
    (KaimingNormal(nonlinearity="linear"), 1 / FAN_IN),
    (KaimingNormal(nonlinearity="selu"), 9 / 16 / FAN_IN),
    (XavierNormal(), 2 / (FAN_IN + FAN_OUT)), (XavierUniform(3.0), 18 / (FAN_IN + FAN_OUT)),
    (LeCunNormal(), 1 / FAN_IN), (LeCunUniform(), 1 / FAN_IN),
    (VarianceScaling(), 1 / FAN_IN), (VarianceScaling(3.0, "fan_out", "normal"), 3 / FAN_OUT),
    (VarianceScaling(2.0, "fan_avg", "uniform"), 4 / (FAN_IN + FAN_OUT)),
    (VarianceScaling(2.0, "fan_avg"), 4 / (FAN_IN + FAN_OUT)),
    (VarianceScaling(distribution="untruncated_normal"), 1 / FAN_IN),
    (Normal(), 0.05**2), (Uniform(), 0.1**2 / 12), (TruncatedNormal(), (0.05 * 0.8796) ** 2),
    (Orthogonal(3.0), 9 / 200),
]


@pytest.mark.parametrize(("initializer", "variance"), VARIANCES, ids=repr)
def test_mean_and_variance_are_those_of_the_formula(initializer: Initializer,
                                                    variance: float) -> None:
    w = initializer(SHAPE).double()
    count = w.numel()
    kurtosis = 3.0  # of a normal distribution, above that of the others
    assert abs(w.mean()) < 4 * math.sqrt(variance / count)
    assert abs(w.var() / variance - 1) < 4 * math.sqrt((kurtosis - 1) / count)


def test_fans_are_counted_in_the_layout_of_torch() -> None:
    assert (fan_in(SHAPE), fan_out(SHAPE)) == (FAN_IN, FAN_OUT)
    assert (fan_in((4, 3)), fan_out((4, 3))) == (3, 4)
    assert (fan_in((4,)), fan_out((4,))) == (1, 4) and (fan_in(()), fan_out(())) == (1, 1)


@pytest.mark.parametrize(("name", "a"), [("linear", 0.0), ("sigmoid", 0.0), ("tanh", 0.0),
                                         ("relu", 0.0), ("leaky_relu", 0.2), ("selu", 0.0)])
def test_gains_are_those_of_torch(name: str, a: float) -> None:
    assert squared_gain(name, a) == pytest.approx(init.calculate_gain(name, a) ** 2)


@pytest.mark.parametrize(("mean", "std", "a", "b"), [(0.0, 1.0, -2.0, 2.0), (0.5, 0.2, 0.4, 1.5),
                                                     (0.0, 1.0, 1.0, 1.5), (1.0, 2.0, -9.0, 2.0)])
def test_truncated_numbers_follow_the_cut_distribution(mean: float, std: float, a: float,
                                                       b: float) -> None:
    w = TruncatedNormal(mean, std, a, b)((100_000,)).double()
    assert a <= w.min() < a + 0.01 * (b - a) + (std if a < mean - 3 * std else 0)
    assert w.max() <= b
    uncut = torch.empty(2_000_000, dtype=torch.float64).normal_(mean, std)
    kept = uncut[(uncut >= a) & (uncut <= b)]
    spread = kept.std()
    assert abs(w.mean() - kept.mean()) < 5 * spread * math.sqrt(1 / len(w) + 1 / len(kept))
    assert abs(w.std() / spread - 1) < 0.015


def test_bounds_are_two_standard_deviations_away_unless_given() -> None:
    initializer = TruncatedNormal(1.0, 0.5)
    assert (initializer.a, initializer.b) == (0.0, 2.0)
    assert TruncatedNormal(1.0, 0.5, a=-1.0).b == 2.0 and TruncatedNormal(1.0, 0.5, b=9.0).a == 0.0


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (3, 4, 2), (8, 1, 2), (1, 1)])
def test_orthogonal_matrices_are_orthogonal(shape: tuple[int, ...]) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        w = Orthogonal(1.5)(shape).flatten(1)
    finally:
        torch.set_default_dtype(before)
    product = w @ w.t() if w.shape[0] <= w.shape[1] else w.t() @ w
    torch.testing.assert_close(product, 2.25 * torch.eye(len(product), dtype=torch.float64),
                               rtol=1e-14, atol=1e-14)


def test_orthogonal_matrices_prefer_no_sign() -> None:
    corners = torch.stack([Orthogonal()((2, 2))[0, 0] for _ in range(400)])
    assert abs((corners > 0).double().mean() - 0.5) < 0.1


def test_an_identity_may_be_longer_than_wide() -> None:
    assert Identity(2.0)((3, 2)).tolist() == [[2, 0], [0, 2], [0, 0]]


@pytest.mark.parametrize(("initializer", "shape", "message"), [
    (Identity(), (3,), r"Identity\(\) expects a matrix, .* got \(3,\)"),
    (Identity(), (3, 3, 1), r"Identity\(\) expects a matrix"),
    (Orthogonal(), (3,), r"Orthogonal\(\) expects a matrix or a kernel.* got \(3,\)"),
])
def test_matrices_are_not_made_of_other_shapes(initializer: Initializer, shape: Any,
                                               message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initializer(shape)


# ---- every one ------------------------------------------------------------------------------


EVERY = [cls for cls in vars(initializers).values() if inspect.isclass(cls)
         and issubclass(cls, Initializer) and cls is not Initializer]


@pytest.mark.parametrize("cls", EVERY)
def test_seeds_types_and_devices(cls: type[Initializer]) -> None:
    torch.manual_seed(3)
    w = cls()((4, 3))
    torch.manual_seed(3)
    again = cls()((4, 3), device="cpu", dtype=torch.float64)
    assert w.shape == again.shape == (4, 3) and w.dtype == torch.float32
    assert w.is_contiguous()
    assert torch.equal(w.double(), again)
    with torch.device("meta"):
        assert cls()((4, 3), device="cpu").is_meta
    assert cls()((0, 3)).shape == (0, 3) and cls()((3, 0)).shape == (3, 0)


@pytest.mark.parametrize("cls", EVERY)
def test_a_layer_takes_it_by_name(cls: type[Initializer]) -> None:
    layer = Linear(4, 4, weight_initializer=cls.__name__)
    layer.build((4,))
    assert layer.weight.data.isfinite().all()


@pytest.mark.parametrize(("name", "cls"), [
    ("he_normal", KaimingNormal), ("HeUniform", KaimingUniform), ("kaiming_normal_", KaimingNormal),
    ("kaiming_uniform", KaimingUniform), ("glorot_normal", XavierNormal),
    ("GlorotUniform", XavierUniform), ("xavier_uniform_", XavierUniform),
    ("lecun_normal", LeCunNormal), ("LecunUniform", LeCunUniform), ("random_normal", Normal),
    ("RandomUniform", Uniform), ("truncated_normal", TruncatedNormal), ("trunc_normal_",
    TruncatedNormal), ("orthogonal", Orthogonal), ("identity", Identity), ("eye", Identity),
    ("ones", Ones), ("zeros", Zeros), ("constant", Constant), ("variance_scaling",
    VarianceScaling), ("normal", Normal), ("uniform", Uniform),
])
def test_names_of_keras_and_torch_are_known(name: str, cls: type) -> None:
    assert type(initializers.get(name)) is cls


@pytest.mark.parametrize(("make", "message"), [
    (lambda: KaimingNormal(mode="fan_avg_"), r"KaimingNormal\(mode\) expects one of .*'fan_in'"),
    (lambda: KaimingUniform(nonlinearity="rel"), r"KaimingUniform\(nonlinearity\) .*'relu'"),
    (lambda: KaimingUniform(math.nan), r"KaimingUniform\(a\) expects a finite number"),
    (lambda: VarianceScaling(0.0), r"VarianceScaling\(scale\) expects a finite number above 0"),
    (lambda: VarianceScaling(distribution="gauss"), r"VarianceScaling\(distribution\)"),
    (lambda: XavierNormal(0.0), r"XavierNormal\(gain\) expects a finite number above 0"),
    (lambda: XavierUniform(-1.0), r"XavierUniform\(gain\) expects"),
    (lambda: Orthogonal(math.inf), r"Orthogonal\(gain\) expects a finite number"),
    (lambda: Identity(None), r"Identity\(gain\) expects"),  # type: ignore[arg-type]
    (lambda: Constant("1"), r"Constant\(value\) expects"),  # type: ignore[arg-type]
    (lambda: Normal(std=-1.0), r"Normal\(std\) expects a finite number of 0 or more"),
    (lambda: Uniform(1.0, 0.0), r"Uniform\(a, b\) expects .* got 1\.0 and 0\.0\. Exchange"),
    (lambda: TruncatedNormal(0.0, 1.0, 2.0, 1.0), r"TruncatedNormal\(.*\) expects bounds"),
    (lambda: TruncatedNormal(0.0, 1.0, 8.0, 9.0), r"expects bounds with numbers between them; got"),
    (lambda: TruncatedNormal(0.0, 0.0), r"expects bounds"),
])
def test_settings_out_of_range_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_config_makes_an_equal_initializer() -> None:
    for initializer, _ in TWINS:
        twin = type(initializer)(**initializer.get_config())
        assert twin.get_config() == initializer.get_config()
    assert repr(KaimingNormal(0.3, mode="fan_out")) == "KaimingNormal(0.3, mode='fan_out')"
