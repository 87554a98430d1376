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

from .nets import NETS, NORM_EPSILON, NORM_MOMENTUM, Arrays, gradtape_net, split

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
        trained, _ = split(name, weights)  # its layers start from the same means and variances
        self.model = self._net(name, [torch.from_numpy(w.copy()) for w in trained])
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
            elif kind == "normalized":
                filters, stride, activation = given
                layer = self._normalized(channels, filters, stride, given_weights)
                channels = filters
            elif kind == "residual":
                filters, stride = given
                layer = self._residual(channels, filters, stride, given_weights)
                channels, activation = filters, "relu"
            elif kind == "flatten":
                layer, flat = nn.Flatten(), height * width * channels
            elif kind == "mean":
                made.append(nn.AdaptiveAvgPool2d(1))
                layer = nn.Flatten()
            else:
                layer = (nn.MaxPool2d if kind == "max" else nn.AvgPool2d)(given[0])
                height, width = height // given[0], width // given[0]
            made.append(layer)
            if activation:
                made.append({"tanh": nn.Tanh, "relu": nn.ReLU}[activation]())
        return nn.Sequential(*made)

    def _normalized(self, channels: int, filters: int, stride: int, weights: Any) -> Any:
        nn = self.torch.nn
        conv = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        norm = nn.BatchNorm2d(filters, NORM_EPSILON, 1 - NORM_MOMENTUM)
        self._fill(conv, next(weights).permute(3, 2, 0, 1))
        self._fill(norm, next(weights), next(weights))
        return nn.Sequential(conv, norm)

    def _residual(self, channels: int, filters: int, stride: int, weights: Any) -> Any:
        nn = self.torch.nn
        first = self._normalized(channels, filters, stride, weights)
        second = self._normalized(filters, filters, 1, weights)

        class Residual(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.branch = nn.Sequential(first, nn.ReLU(), second)

            def forward(self, x: Any) -> Any:
                y = self.branch(x)
                if stride > 1:
                    x = x[:, :, ::stride, ::stride]
                if filters > channels:
                    x = nn.functional.pad(x, (0, 0, 0, 0, 0, filters - channels))
                return y + x

        return Residual()

    def _fill(self, layer: Any, kernel: Any, bias: Any = None) -> None:
        with self.torch.no_grad():
            layer.weight.copy_(kernel)
            if bias is not None:
                layer.bias.copy_(bias)

    def step(self, x: np.ndarray, labels: np.ndarray) -> float:
        images = self.torch.from_numpy(x).permute(0, 3, 1, 2)  # channels last in memory
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(images), self.torch.from_numpy(labels))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def predict(self, x: np.ndarray) -> np.ndarray:
        self.model.eval()
        with self.torch.inference_mode():
            batches = [self.torch.from_numpy(b).permute(0, 3, 1, 2) for b in x]
            logits = [self.model(b).numpy() for b in batches]
        self.model.train()
        return np.concatenate(logits)


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
        self.layers = keras.layers
        image = x = keras.Input(NETS[name][0])
        for kind, *given in NETS[name][1]:
            x = self._layer(x, kind, *given)
        self.model = keras.Model(image, x)
        self.model.set_weights(weights)
        self.model.compile(
            keras.optimizers.SGD(rate, momentum=MOMENTUM),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def _layer(self, x: Any, kind: str, *given: Any) -> Any:
        layers = self.layers
        if kind == "conv":
            filters, kernel, padding, activation = given
            x = layers.ZeroPadding2D(padding)(x) if padding else x
            return layers.Conv2D(filters, kernel, activation=activation)(x)
        if kind == "dense":
            return layers.Dense(given[0], activation=given[1])(x)
        if kind == "normalized":
            filters, stride, activation = given
            x = layers.Conv2D(filters, 3, stride, use_bias=False)(layers.ZeroPadding2D(1)(x))
            x = layers.BatchNormalization(momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON)(x)
            return layers.Activation(activation)(x) if activation else x
        if kind == "residual":
            filters, stride = given
            y = self._layer(x, "normalized", filters, stride, "relu")
            y = self._layer(y, "normalized", filters, 1, None)
            x = layers.MaxPooling2D(1, stride)(x) if stride > 1 else x
            if filters > x.shape[-1]:  # twice as many
                x = layers.Concatenate()([x, layers.Subtract()([x, x])])
            return layers.Activation("relu")(layers.Add()([y, x]))
        if kind in ("flatten", "mean"):
            return (layers.Flatten() if kind == "flatten" else layers.GlobalAveragePooling2D())(x)
        return (layers.MaxPooling2D if kind == "max" else layers.AvgPool2D)(given[0])(x)

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
        trained, moving = split(name, weights)
        self.parameters = [tf.Variable(w) for w in trained]
        self.speeds = [tf.Variable(tf.zeros_like(w)) for w in trained]
        self.moving = [tf.Variable(w, trainable=False) for w in moving]
        layers = NETS[name][1]

        def normalized(x: Any, stride: int, weights: Any, moving: Any, training: bool) -> Any:
            pads = [[0, 0], [1, 1], [1, 1], [0, 0]]
            x = tf.nn.conv2d(x, next(weights), stride, pads)
            mean, variance = next(moving), next(moving)
            x, *moved = tf.compat.v1.nn.fused_batch_norm(
                x, next(weights), next(weights), mean, variance, NORM_EPSILON,
                is_training=training, exponential_avg_factor=1 - NORM_MOMENTUM if training else 1.0,
            )  # fmt: skip
            if training:
                mean.assign(moved[0])
                variance.assign(moved[1])
            return x

        def forward(x: Any, training: bool = False) -> Any:
            given_weights, means = iter(self.parameters), iter(self.moving)
            for kind, *given in layers:
                activation = None
                if kind == "conv":
                    _, _, padding, activation = given
                    pads = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
                    x = tf.nn.conv2d(x, next(given_weights), 1, pads) + next(given_weights)
                elif kind == "dense":
                    activation = given[1]
                    x = x @ next(given_weights) + next(given_weights)
                elif kind == "normalized":
                    _, stride, activation = given
                    x = normalized(x, stride, given_weights, means, training)
                elif kind == "residual":
                    filters, stride = given
                    y = tf.nn.relu(normalized(x, stride, given_weights, means, training))
                    y = normalized(y, 1, given_weights, means, training)
                    new = [0, filters - x.shape[-1]]
                    x = y + tf.pad(x[:, ::stride, ::stride], [[0, 0], [0, 0], [0, 0], new])
                    activation = "relu"
                elif kind == "flatten":
                    x = tf.reshape(x, (len(x), -1))
                elif kind == "mean":
                    x = tf.reduce_mean(x, (1, 2))
                else:
                    pool = tf.nn.max_pool2d if kind == "max" else tf.nn.avg_pool2d
                    x = pool(x, given[0], given[0], "VALID")
                if activation:
                    x = {"tanh": tf.tanh, "relu": tf.nn.relu}[activation](x)
            return x

        @tf.function
        def update(x: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    labels, forward(x, training=True)
                )
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

        def convolved(x: Any, kernel: Any, stride: int, padding: int) -> Any:
            return jax.lax.conv_general_dilated(
                x,
                kernel,
                (stride, stride),
                [(padding, padding)] * 2,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )

        def normalized(x: Any, stride: int, weights: Any, moving: Any, moved: Any) -> Any:
            x = convolved(x, next(weights), stride, 1)
            means = next(moving), next(moving)
            if moved is not None:  # training
                now = x.mean((0, 1, 2)), x.var((0, 1, 2))
                pairs = zip(means, now, strict=True)
                moved += [NORM_MOMENTUM * m + (1 - NORM_MOMENTUM) * n for m, n in pairs]
                means = now
            scale = next(weights) * jax.lax.rsqrt(means[1] + NORM_EPSILON)
            return x * scale + (next(weights) - means[0] * scale)

        def forward(parameters: Any, moving: Any, x: Any, moved: Any = None) -> Any:
            given_weights, means = iter(parameters), iter(moving)
            for kind, *given in layers:
                activation = None
                if kind == "conv":
                    _, _, padding, activation = given
                    x = convolved(x, next(given_weights), 1, padding) + next(given_weights)
                elif kind == "dense":
                    activation = given[1]
                    x = x @ next(given_weights) + next(given_weights)
                elif kind == "normalized":
                    _, stride, activation = given
                    x = normalized(x, stride, given_weights, means, moved)
                elif kind == "residual":
                    filters, stride = given
                    y = jax.nn.relu(normalized(x, stride, given_weights, means, moved))
                    y = normalized(y, 1, given_weights, means, moved)
                    new = (0, filters - x.shape[-1])
                    x = y + jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), new))
                    activation = "relu"
                elif kind == "flatten":
                    x = x.reshape(len(x), -1)
                elif kind == "mean":
                    x = x.mean((1, 2))
                else:
                    n, h, w, c = x.shape
                    k = given[0]
                    windows = x.reshape(n, h // k, k, w // k, k, c)
                    x = windows.max((2, 4)) if kind == "max" else windows.mean((2, 4))
                if activation:
                    x = {"tanh": jnp.tanh, "relu": jax.nn.relu}[activation](x)
            return x

        def loss(parameters: Any, moving: Any, x: Any, labels: Any) -> Any:
            moved: list[Any] = []
            scores = jax.nn.log_softmax(forward(parameters, moving, x, moved))
            return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], 1)), moved

        def update(parameters: Any, moving: Any, speeds: Any, x: Any, labels: Any) -> Any:
            both = jax.value_and_grad(loss, has_aux=True)
            (value, means), gradients = both(parameters, moving, x, labels)
            speeds = [MOMENTUM * v - rate * g for v, g in zip(speeds, gradients, strict=True)]
            moved = [p + v for p, v in zip(parameters, speeds, strict=True)]
            return value, moved, means, speeds

        self.update, self.forward = jax.jit(update), jax.jit(forward)
        trained, moving = split(name, weights)
        self.parameters, self.moving = ([jnp.asarray(w) for w in p] for p in (trained, moving))
        self.speeds = [jnp.zeros_like(p) for p in self.parameters]

    def step(self, x: np.ndarray, labels: np.ndarray) -> float:
        value, self.parameters, self.moving, self.speeds = self.update(
            self.parameters, self.moving, self.speeds, x, labels
        )
        return float(value)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [np.asarray(self.forward(self.parameters, self.moving, b)) for b in x]
        )


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
