"""What torch's memory profiler sees of a training step, to hold a plan against."""

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kerasish import Model
from kerasish.insight.live import held_by
from kerasish.streaming import gradients_used_early
from kerasish.training import mode


def measured_peak(model: Model, x: Tensor, y: Tensor, in_stream: bool = False) -> int:
    """Bytes of the model, of the batch, and the most that two steps, as in fit, allocate."""
    model.train_on_batch(x, y)
    scores, outcome = model.scores.fresh(), None
    with ExitStack() as around:
        if in_stream:
            around.enter_context(gradients_used_early(model, stream_updates=True))
        around.enter_context(mode(model.module.modules(), training=True))
        around.enter_context(torch.inference_mode())
        with profiling() as profiler:
            for _ in range(2):
                outcome = model.train_step(x, y)
                model.record(scores, outcome, x, y, None)
        del outcome
        held = bytes_of(held_by(model))
    return held + x.nbytes + y.nbytes + peak_of(profiler)


def measured_calls(module: Any, x: Any, dy: Any) -> int:
    """The most that a forward and a backward allocate."""
    with torch.inference_mode():
        module.forward(x)
        module.backward(dy)
        with profiling() as profiler:
            y = module.forward(x)
            dx = module.backward(dy)
        del y, dx
    return peak_of(profiler)


def bytes_of(tensors: list[Tensor]) -> int:
    """Of the memories that tensors lie in, each once."""
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage() for each in tensors}
    return sum(storage.nbytes() for storage in storages.values())


def profiling() -> Any:
    """A profiler that sees what is allocated and freed inside its `with` block."""
    return torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU],
                                  profile_memory=True)


def peak_of(profiler: Any) -> int:
    """The highest sum of all its [memory] records, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    records = sorted((each for each in events if each.get("name") == "[memory]"),
                     key=lambda each: each["ts"])
    live = peak = 0
    for record in records:
        live += record["args"]["Bytes"]
        peak = max(peak, live)
    return peak
