"""The contestants: each trains a net of `nets` by SGD with momentum, cross-entropy on logits.

A contestant is made from a net's name, the initial weights, a learning rate and a number of
threads, and has ``step(x, labels)``, which returns the loss of that batch before the update, and
``predict(x)``, which returns the logits of batches (batches, batch, H, W, C), one row a sample.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import gradtape as gt
from gradtape.program import set_threads

from .nets import NETS, Arrays, gradtape_net

MOMENTUM = 0.9


class Gradtape:
    """This project: `train_on_batch` of a compiled model."""

    def __init__(self, name: str, weights: Arrays, rate: float, threads: int) -> None:
        set_threads(threads)
        self.version = gt.__version__
        self.model = gradtape_net(name)
        self.model.set_weights(weights)
        loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(gt.optimizers.SGD(rate, momentum=MOMENTUM), loss)

    def step(self, x: np.ndarray, labels: np.ndarray) -> float:
        return self.model.train_on_batch(x, labels)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(x.reshape(-1, *x.shape[2:]), batch_size=x.shape[1], verbose=0)


class Torch:
    """PyTorch, eager, channels last."""

    def __init__(self, name: str, weights: Arrays, rate: float, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch, self.version = torch, torch.__version__
        self.model = self._net(name, [torch.from_numpy(w.copy()) for w in weights])
        self.model = self.model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=rate, momentum=MOMENTUM)
        self.loss = torch.nn.CrossEntropyLoss()

    def _net(self, name: str, weights: list[Any]) -> Any:
        nn, made = self.torch.nn, []
        shape, layers = NETS[name]
        height, width, channels = shape
        given_weights = iter(weights)
        flat = 0
        for kind, *given in layers:
            activation = None
            if kind == "conv":
                filters, kernel, padding, activation = given
                layer = nn.Conv2d(channels, filters, kernel, padding=padding)
                self._fill(layer, next(given_weights).permute(3, 2, 0, 1), next(given_weights))
                height, width = (n + 2 * padding - kernel + 1 for n in (height, width))
                channels = filters
            elif kind == "dense":
                units, activation = given
                kernel = next(given_weights)
                if flat:  # here the channels come first
                    kernel = kernel.reshape(height, width, channels, units).permute(2, 0, 1, 3)
                    kernel = kernel.reshape(flat, units)
                    flat = 0
                layer = nn.Linear(len(kernel), units)
                self._fill(layer, kernel.T, next(given_weights))
            elif kind == "flatten":
                layer, flat = nn.Flatten(), height * width * channels
            else:
                layer = (nn.MaxPool2d if kind == "max" else nn.AvgPool2d)(given[0])
                height, width = height // given[0], width // given[0]
            made.append(layer)
            if activation:
                made.append({"tanh": nn.Tanh, "relu": nn.ReLU}[activation]())
        return nn.Sequential(*made)

    def _fill(self, layer: Any, kernel: Any, bias: Any) -> None:
        with self.torch.no_grad():
            layer.weight.copy_(kernel)
            layer.bias.copy_(bias)

    def step(self, x: np.ndarray, labels: np.ndarray) -> float:
        images = self.torch.from_numpy(x).permute(0, 3, 1, 2)  # channels last in memory
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(images), self.torch.from_numpy(labels))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def predict(self, x: np.ndarray) -> np.ndarray:
        with self.torch.inference_mode():
            batches = [self.torch.from_numpy(b).permute(0, 3, 1, 2) for b in x]
            return np.concatenate([self.model(b).numpy() for b in batches])


class TorchCompile(Torch):
    """PyTorch with torch.compile."""

    def __init__(self, name: str, weights: Arrays, rate: float, threads: int) -> None:
        super().__init__(name, weights, rate, threads)
        self.model = self.torch.compile(self.model)


class Keras:
    """Keras 3, on the back end that KERAS_BACKEND names: only one in a process."""

    def __init__(self, name: str, weights: Arrays, rate: float, threads: int) -> None:
        import keras

        self._limit(keras.backend.backend(), threads)
        self.version = f"{keras.__version__} on {keras.backend.backend()}"
        layers: list[Any] = [keras.Input(NETS[name][0])]
        for kind, *given in NETS[name][1]:
            if kind == "conv":
                filters, kernel, padding, activation = given
                if padding:
                    layers.append(keras.layers.ZeroPadding2D(padding))
                layers.append(keras.layers.Conv2D(filters, kernel, activation=activation))
            elif kind == "dense":
                layers.append(keras.layers.Dense(given[0], activation=given[1]))
            elif kind == "flatten":
                layers.append(keras.layers.Flatten())
            else:
                pooling = keras.layers.MaxPooling2D if kind == "max" else keras.layers.AvgPool2D
                layers.append(pooling(given[0]))
        self.model = keras.Sequential(layers)
        self.model.set_weights(weights)
        self.model.compile(
            keras.optimizers.SGD(rate, momentum=MOMENTUM),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    @staticmethod
    def _limit(backend: str, threads: int) -> None:
        if backend == "tensorflow":
            import tensorflow as tf

            with contextlib.suppress(RuntimeError):  # already running
                tf.config.threading.set_intra_op_parallelism_threads(threads)
        elif backend == "torch":
            import torch

            torch.set_num_threads(threads)

    def step(self, x: np.ndarray, labels: np.ndarray) -> float:
        return float(self.model.train_on_batch(x, labels))

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(x.reshape(-1, *x.shape[2:]), batch_size=x.shape[1], verbose=0)


class TensorFlow:
    """TensorFlow, one `tf.function` a step."""

    def __init__(self, name: str, weights: Arrays, rate: float, threads: int) -> None:
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # a net before this one has set it
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        self.version = tf.__version__
        self.parameters = [tf.Variable(w) for w in weights]
        self.speeds = [tf.Variable(tf.zeros_like(w)) for w in weights]
        layers = NETS[name][1]

        def forward(x: Any) -> Any:
            given_weights = iter(self.parameters)
            for kind, *given in layers:
                activation = None
                if kind == "conv":
                    _, _, padding, activation = given
                    pads = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
                    x = tf.nn.conv2d(x, next(given_weights), 1, pads) + next(given_weights)
                elif kind == "dense":
                    activation = given[1]
                    x = x @ next(given_weights) + next(given_weights)
                elif kind == "flatten":
                    x = tf.reshape(x, (len(x), -1))
                else:
                    pool = tf.nn.max_pool2d if kind == "max" else tf.nn.avg_pool2d
                    x = pool(x, given[0], given[0], "VALID")
                if activation:
                    x = {"tanh": tf.tanh, "relu": tf.nn.relu}[activation](x)
            return x

        @tf.function
        def update(x: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, forward(x))
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, self.parameters)
            for p, v, g in zip(self.parameters, self.speeds, gradients, strict=True):
                v.assign(MOMENTUM * v - rate * g)
                p.assign_add(v)
            return loss

        self.update, self.forward = update, tf.function(forward)

    def step(self, x: np.ndarray, labels: np.ndarray) -> float:
        return float(self.update(x, labels))

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.concatenate([self.forward(b).numpy() for b in x])


class Jax:
    """JAX, one jitted step. It can be kept to one thread only, and only before it is imported."""

    def __init__(self, name: str, weights: Arrays, rate: float, threads: int) -> None:
        if threads == 1 and "jax" not in sys.modules:
            os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        import jax
        import jax.numpy as jnp

        self.version, self.jax = jax.__version__, jax
        layers = NETS[name][1]

        def forward(parameters: Any, x: Any) -> Any:
            given_weights = iter(parameters)
            for kind, *given in layers:
                activation = None
                if kind == "conv":
                    _, _, padding, activation = given
                    kernel, bias = next(given_weights), next(given_weights)
                    x = bias + jax.lax.conv_general_dilated(
                        x,
                        kernel,
                        (1, 1),
                        [(padding, padding)] * 2,
                        dimension_numbers=("NHWC", "HWIO", "NHWC"),
                    )
                elif kind == "dense":
                    activation = given[1]
                    x = x @ next(given_weights) + next(given_weights)
                elif kind == "flatten":
                    x = x.reshape(len(x), -1)
                else:
                    n, h, w, c = x.shape
                    k = given[0]
                    windows = x.reshape(n, h // k, k, w // k, k, c)
                    x = windows.max((2, 4)) if kind == "max" else windows.mean((2, 4))
                if activation:
                    x = {"tanh": jnp.tanh, "relu": jax.nn.relu}[activation](x)
            return x

        def loss(parameters: Any, x: Any, labels: Any) -> Any:
            scores = jax.nn.log_softmax(forward(parameters, x))
            return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], 1))

        def update(parameters: Any, speeds: Any, x: Any, labels: Any) -> Any:
            value, gradients = jax.value_and_grad(loss)(parameters, x, labels)
            speeds = [MOMENTUM * v - rate * g for v, g in zip(speeds, gradients, strict=True)]
            moved = [p + v for p, v in zip(parameters, speeds, strict=True)]
            return value, moved, speeds

        self.update, self.forward = jax.jit(update), jax.jit(forward)
        self.parameters = [jnp.asarray(w) for w in weights]
        self.speeds = [jnp.zeros_like(p) for p in self.parameters]

    def step(self, x: np.ndarray, labels: np.ndarray) -> float:
        value, self.parameters, self.speeds = self.update(self.parameters, self.speeds, x, labels)
        return float(value)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.concatenate([np.asarray(self.forward(self.parameters, b)) for b in x])


PEERS: dict[str, Callable[..., Any]] = {
    "torch": Torch,
    "torch-compile": TorchCompile,
    "tensorflow": TensorFlow,
    "keras": Keras,
    "jax": Jax,
}

#: What each imports.
PACKAGES = dict(zip(PEERS, ("torch", "torch", "tensorflow", "keras", "jax"), strict=True))


def contestant(name: str, *given: Any) -> Any:
    """Ours, or the peer of that name.

    Raises:
        ImportError: it is not installed.
    """
    if name in PACKAGES:
        __import__(PACKAGES[name])
    return (Gradtape if name == "gradtape" else PEERS[name])(*given)
