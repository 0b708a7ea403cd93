"""Keras: `Model.fit` on the backend that the environment names.

Images lie as each backend prefers them: channels first for torch, channels last for jax. Steps are
compiled where Keras does that by itself: on jax.
"""

import keras
import numpy as np

from tests.benchmarks.contestants import Training
from tests.benchmarks.workloads import Workload

if keras.backend.backend() == "torch":
    keras.config.set_image_data_format("channels_first")

from tests.benchmarks.nets import keras_nets


def optimizer(workload: Workload) -> keras.optimizers.Optimizer:
    if workload.optimizer == "sgd":
        return keras.optimizers.SGD(workload.rate)
    return keras.optimizers.Adam(workload.rate, epsilon=1e-8)  # as in torch; its own is 1e-7


def prepare(workload: Workload) -> Training:
    (x, y), shape = workload.data(), workload.shape
    if len(shape) == 3 and keras.config.image_data_format() == "channels_last":
        x, shape = np.ascontiguousarray(x.transpose(0, 2, 3, 1)), (*shape[1:], shape[0])
    net = keras_nets.net(workload.net, shape)
    loss = {"mse": "mse",
            "cross entropy": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    net.compile(optimizer(workload), loss[workload.loss])

    def run(epochs: int) -> float:
        return net.fit(x, y, workload.batch_size, epochs, verbose=0).history["loss"][-1]

    return Training(run, keras_nets.parameters(net))
