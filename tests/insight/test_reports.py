"""What the tools of insight share: a prompt gets one line, and what they cannot take is refused."""

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import NanTracer
from kerasish.layers import Lambda, Linear
from tests.table import numbers

X, Y = numbers(6, 4, dtype=torch.float32), numbers(6, 1, seed=1, dtype=torch.float32)


def net(*layers):
    model = Model(*layers, device="cpu")
    model.compile("sgd", "mse")
    return model


def test_the_prompt_gets_one_short_line(tmp_path):
    model = net(Linear(1))
    assert repr(model.check(X, Y)) == "<CheckReport of 3 rows: 3 passed>"
    assert repr(model.explain(X, Y)) == "<Explanation of 4 steps>"
    norms = model.per_sample_gradient_norms(X, Y)
    assert repr(norms) == f"<SampleNorms of 6 samples: largest {norms.total.max():.4g}>"


def test_the_prompt_gets_one_short_line_of_a_replay(tmp_path):
    model = net(Linear(1), Lambda(lambda x: x * float("nan"), lambda dy, x, y: dy))
    tracer = NanTracer(tmp_path)
    model.fit(X, Y, 6, verbose=0, callbacks=tracer)
    told = repr(model.replay(tracer.saved[0]))
    assert told.startswith("<Replay of step 1: first not finite: ") and "\n" not in told


@pytest.mark.parametrize("name", ["a.png", "a", "a.svg"])
def test_a_page_has_the_name_of_one(tmp_path, name):
    told = net(Linear(1)).explain(X, Y)
    with pytest.raises(ValueError, match=r"to_html\(path\) expects a name that ends in \.html; go"):
        told.to_html(tmp_path / name)
    assert not list(tmp_path.iterdir())
    told.to_html(tmp_path / "a.HTM")
    assert (tmp_path / "a.HTM").exists()
