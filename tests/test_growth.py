"""How work grows with depth, samples, epochs, callbacks and fits: counted, so no clock decides.

Counted are the operations that tensors are put through, and the functions that are called, be they
written in Python or in C. Both are the same in every run, once what is bound at first is bound.
"""

import gc
import sys
from collections.abc import Callable as Function
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.containers import Residual, Sequential
from kerasish.insight.live import Live, held_by
from kerasish.layers import BatchNorm1d, Dropout, LayerNorm, Linear, ReLU, Tanh
from tests.benchmarks.growth import Listens, Memory, Panel, draw, power, show

WIDTH, BATCH = 4, 5


class Operations(TorchDispatchMode):
    """How many operations tensors are put through inside the block."""

    count = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None):
        self.count += 1
        return operation(*args, **(kwargs or {}))


def operations(run: Function[[], object]) -> int:
    with Operations() as counted:
        run()
    return counted.count


def calls(run: Function[[], object]) -> int:
    """How many functions are called, those written in C included."""
    count = 0

    def tally(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    gc.collect()
    gc.disable()  # what it frees would be called back at any time
    sys.setprofile(tally)
    try:
        run()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


COUNTS = {"operations": operations, "calls": calls}
counted = pytest.mark.parametrize("count", COUNTS.values(), ids=COUNTS)

BLOCKS: dict[str, Function[[], list[Any]]] = {
    "ReLU": lambda: [Linear(WIDTH), ReLU()],
    "Tanh": lambda: [Linear(WIDTH), Tanh()],
    "BatchNorm1d": lambda: [Linear(WIDTH), BatchNorm1d(), ReLU()],
    "Dropout": lambda: [Linear(WIDTH), LayerNorm(), Dropout(0.5)],
    "Residual": lambda: [Residual(Sequential(Linear(WIDTH), ReLU()))],
}
DEPTHS = (4, 8, 32)


def model(depth: int = 3, block: str = "ReLU", optimizer: str = "sgd") -> Model:
    body = [layer for _ in range(depth) for layer in BLOCKS[block]()]
    made = Model(*body, Linear(1), device="cpu")
    made.compile(optimizer, "mse", metrics=["mae"])
    return made


def fit(fitted: Model, batches: int = 1, **settings: Any) -> None:
    x = torch.linspace(-1, 1, WIDTH * BATCH * batches).view(-1, WIDTH)
    fitted.fit(x, x[:, :1], batch_size=BATCH, verbose=0, seed=0, **settings)


def trained(fitted: Model) -> Model:
    """The model with all bound that is bound at first."""
    for _ in range(2):
        fit(fitted, 20)
    return fitted


def of_ten_steps(count: Function[[Function[[], object]], int], fitted: Model, **settings: Any
                 ) -> int:
    """The count for the last ten of thirty steps."""
    trained(fitted)
    shorter, longer = (count(lambda n=n: fit(fitted, n, **settings)) for n in (20, 30))
    return longer - shorter


def assert_a_line(sizes: Sequence[int], counts: list[int]) -> None:
    """Each one more costs the same, and something, wherever it is added."""
    slopes = {Fraction(counts[i + 1] - counts[i], sizes[i + 1] - sizes[i])
              for i in range(len(sizes) - 1)}
    assert len(slopes) == 1 and min(slopes) > 0, counts


# ---- depth --------------------------------------------------------------------------------------


@counted
@pytest.mark.parametrize("block", BLOCKS)
def test_a_step_is_a_line_over_depth(count, block) -> None:
    assert_a_line(DEPTHS, [of_ten_steps(count, model(depth, block)) for depth in DEPTHS])


@counted
def test_a_fit_besides_its_steps_is_a_line_over_depth(count) -> None:
    models = [trained(model(depth)) for depth in DEPTHS]
    assert_a_line(DEPTHS, [count(lambda each=each: fit(each)) for each in models])


@counted
def test_building_is_a_line_over_depth(count) -> None:
    model().build((WIDTH,))
    assert_a_line(DEPTHS, [count(lambda n=n: model(n).build((WIDTH,))) for n in DEPTHS])


@counted
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lion"])
def test_an_update_is_the_same_at_any_depth(count, optimizer) -> None:
    shallow, deep = (trained(model(depth, optimizer=optimizer)).optimizer for depth in (1, 100))
    assert count(shallow.step) == count(deep.step) > 0


# ---- samples and epochs -------------------------------------------------------------------------


@counted
def test_an_epoch_is_a_line_over_samples(count) -> None:
    fitted, batches = trained(model()), (256, 512, 1024)  # whole blocks of what is added up at once
    assert_a_line(batches, [count(lambda n=n: fit(fitted, n)) for n in batches])


@counted
def test_a_fit_is_a_line_over_epochs(count) -> None:
    fitted, epochs = trained(model()), (4, 8, 32)
    assert_a_line(epochs, [count(lambda n=n: fit(fitted, epochs=n)) for n in epochs])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("block", BLOCKS)
def test_memory_is_flat_over_epochs(block, optimizer) -> None:
    fitted = trained(model(block=block, optimizer=optimizer))
    with Live("cpu", held_by(fitted)) as live:
        memory = Memory(live)
        fit(fitted, 3, epochs=50, callbacks=memory)
    assert len(memory.sizes) == len(memory.peaks) == 50
    assert len(set(memory.sizes[1:])) == len(set(memory.peaks[1:])) == 1, memory.peaks


# ---- callbacks and fits -------------------------------------------------------------------------


def test_idle_callbacks_cost_a_step_nothing() -> None:
    without, idle = (of_ten_steps(calls, model(), callbacks=[Callback() for _ in range(number)])
                     for number in (0, 100))
    assert without == idle


def test_a_callback_costs_a_step_its_own_call_and_nothing_else() -> None:
    numbers = (1, 2, 100)
    counts = [of_ten_steps(calls, model(), callbacks=[Listens() for _ in range(number)])
              for number in numbers]
    assert [count - counts[0] for count in counts] == [10 * (number - 1) for number in numbers]


@pytest.mark.parametrize("anew", [True, False], ids=["new models", "the same model"])
def test_fits_in_a_loop_leave_nothing_behind(anew) -> None:
    fitted, objects = model(), []
    for _ in range(4):
        for _ in range(5):
            fit(model() if anew else fitted, 3)
        gc.collect()
        objects.append(len(gc.get_objects()))
    # One object from each fit would be ten; the process that runs the tests makes one now and then.
    assert abs(objects[3] - objects[1]) < 5, objects


# ---- how growth is shown ------------------------------------------------------------------------


def panel(title: str, expected: float | None) -> Panel:
    lines = {"costs": [5.0, 23.0, 203.0]}
    return Panel(title, "layers", "µs", [1, 10, 100], lines, expected)


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_the_power_of_a_growth_is_found_and_the_smallest_size_does_not_count(exponent) -> None:
    sizes = [1, 10, 30, 100]
    costs = [99, *(7 * size**exponent for size in sizes[1:])]
    assert power(sizes, costs) == pytest.approx(exponent)


def test_a_table_says_how_costs_grow(capsys) -> None:
    show(panel("Depth", 1))
    show(panel("Callbacks", None))
    assert capsys.readouterr().out == """
Depth: µs
layers          1        10       100
costs           5        23       203   grows with the power 0.95; 1 expected

Callbacks: µs
layers          1        10       100
costs           5        23       203   +2.00 for each one more
"""


def test_tables_are_drawn(tmp_path) -> None:
    pytest.importorskip("matplotlib")
    draw([panel(f"Panel {number}", number % 2) for number in range(6)], tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes()[1:4] == b"PNG"
