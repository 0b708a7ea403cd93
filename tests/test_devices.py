"""Which kernels run: what a tensor without numbers stands for."""

import pytest
import torch

from kerasish.devices import kind_of_device, standing_for


def test_a_tensor_on_the_meta_device_stands_for_one_elsewhere_inside_the_block_alone():
    weightless, real = torch.empty(2, device="meta"), torch.empty(2)
    assert (kind_of_device(weightless), kind_of_device(real)) == ("meta", "cpu")
    with pytest.raises(ZeroDivisionError), standing_for("cuda"):
        assert (kind_of_device(weightless), kind_of_device(real)) == ("cuda", "cpu")
        with standing_for("cpu"):
            assert kind_of_device(weightless) == "cpu"
        assert kind_of_device(weightless) == "cuda"
        raise ZeroDivisionError
    assert kind_of_device(weightless) == "meta"
