"""JAX at its best: an epoch of the disc net as one jitted `lax.scan` over its steps.

It is written for this one net: what a framework would add to it, layers, logs or callbacks, is not
there.
"""

from functools import partial

import jax
import jax.numpy as jnp

from tests.benchmarks.contestants import Training, Unfit
from tests.benchmarks.nets import disc
from tests.benchmarks.nets.weights import weights
from tests.benchmarks.workloads import Workload

ACTIVATIONS = (jax.nn.relu, jax.nn.relu, jnp.tanh, jnp.tanh)


def loss_of(weights, x, y):
    for (w, b), activation in zip(weights, ACTIVATIONS, strict=True):
        x = activation(x @ w.T + b)
    return ((x - y) ** 2).mean()


@partial(jax.jit, static_argnums=(0, 1))
def epoch(batch_size, rate, weights, key, x, y):
    """The weights after an epoch, and its mean loss; samples that fill no batch come last."""
    order = jax.random.permutation(key, len(x))
    whole = len(x) // batch_size * batch_size
    x, y = x[order], y[order]
    batches = [part[:whole].reshape(-1, batch_size, part.shape[1]) for part in (x, y)]

    def step(weights, batch):
        loss, gradients = jax.value_and_grad(loss_of)(weights, *batch)
        return jax.tree.map(lambda w, g: w - rate * g, weights, gradients), loss * len(batch[0])

    weights, losses = jax.lax.scan(step, weights, batches)
    total = losses.sum()
    if whole < len(x):
        weights, rest = step(weights, (x[whole:], y[whole:]))
        total += rest
    return weights, total / len(x)


def prepare(workload: Workload) -> Training:
    if workload.net != disc():
        raise Unfit("written for the disc alone")
    x, y = map(jnp.asarray, workload.data())
    arrays = list(map(jnp.asarray, weights(workload.net)))
    state = {"key": jax.random.key(0),
             "weights": list(zip(arrays[::2], arrays[1::2], strict=True))}

    def run(epochs: int) -> float:
        for _ in range(epochs):
            state["key"], key = jax.random.split(state["key"])
            state["weights"], loss = epoch(workload.batch_size, workload.rate, state["weights"],
                                           key, x, y)
        return float(loss)

    return Training(run, sum(each.size for each in arrays))
