"""The peak of live tensor bytes in a training step: kerasish, in three ways, and torch tuned.

Counted are the weights, gradients, state of the optimizer, buffers, the batch, and the most that is
alive at a time of what a step makes, as torch's memory profiler sees it allocated and freed.
"""

from kerasish import Sequential
from kerasish.containers import Recompute
from tests.benchmarks import nets
from tests.benchmarks.contestants.in_torch import data
from tests.benchmarks.contestants.kerasish_fit import compiled
from tests.benchmarks.contestants.tuned_torch import tuned
from tests.benchmarks.nets import kerasish_nets
from tests.benchmarks.workloads import Workload
from tests.insight.measured import bytes_of, measured_peak, peak_of, profiling

ENDS = (nets.Encoder, nets.MaxPool, nets.Residual)
"""The last layer of each part that is computed again, with Recompute."""
MEASURED = ("ConvNet, batch 100", "Transformer", "ResNet-18")
"""The workloads that it is measured of."""


def peaks(workload: Workload) -> dict[str, int]:
    """Bytes by contestant: kerasish, with updates in stream, with Recompute, with both; torch."""
    one_batch = workload._replace(samples=workload.batch_size)
    return {
        "kerasish": of_kerasish(one_batch, kerasish_nets.net(workload.net)),
        "in stream": of_kerasish(one_batch, kerasish_nets.net(workload.net), in_stream=True),
        "Recompute": of_kerasish(one_batch, recomputing(workload.net)),
        "both": of_kerasish(one_batch, recomputing(workload.net), in_stream=True),
        "torch tuned": of_torch(one_batch),
    }


def of_kerasish(workload: Workload, net: Sequential, in_stream: bool = False) -> int:
    """As `fit` trains, or as it does with stream_updates=True."""
    return measured_peak(compiled(workload, net), *data(workload), in_stream)


def of_torch(workload: Workload) -> int:
    net, descent, step = tuned(workload)
    step(*data(workload))
    descent.zero_grad(set_to_none=True)  # so that gradients are seen to be made
    x, y = data(workload)
    state = [value for held in descent.state.values() for value in held.values()]
    with profiling() as profiler:
        for _ in range(2):
            step(x, y)
    return bytes_of([*net.parameters(), *net.buffers(), *state, x, y]) + peak_of(profiler)


def recomputing(described: tuple) -> Sequential:
    """The net in parts that are computed again on the way back; what follows the last is none."""
    parts: list[tuple] = [()]
    for layer in described:
        parts[-1] += (layer,)
        if isinstance(layer, ENDS):
            parts.append(())
    return Sequential(*(Recompute(kerasish_nets.net(part)) for part in parts[:-1]),
                      *kerasish_nets.net(parts[-1]))
