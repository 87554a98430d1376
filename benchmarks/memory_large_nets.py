"""Time and peak memory of a forward and a backward pass of the large nets, each in its own process.

python benchmarks/memory_large_nets.py [NET ...]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

import gradtape as gt

NETS: dict[str, dict[str, Any]] = {
    "alexnet": {"input_shape": (224, 224, 3)},
    "vgg16": {},
    "resnet50": {},
    "googlenet": {"auxiliary": True},
}
BATCH = 2
LIMIT = 6e9


def peak_memory() -> int:
    """The largest resident size of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(name: str) -> None:
    """One pass in each direction; prints a line.

    Raises:
        AssertionError: a gradient is missing or not finite, or the memory is over the limit.
    """
    start = time.perf_counter()
    gt.utils.set_random_seed(0)
    model = gt.models.build(name, **NETS[name])
    built = time.perf_counter()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, *model.input_shape[1:])).astype("float32")
    labels = rng.integers(0, 1000, BATCH)
    outputs = model(x, training=True)
    loss_of = gt.losses.SparseCategoricalCrossentropy()
    heads = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    loss = sum(weight * loss_of(labels, y) for weight, y in zip((1, 0.3, 0.3), heads, strict=False))
    forward = time.perf_counter()
    loss.backward()
    backward = time.perf_counter()
    assert np.isfinite(loss.item())
    for variable in model.trainable_variables:
        assert variable.grad is not None, variable.path
        assert np.isfinite(variable.grad.numpy()).all(), variable.path
    peak = peak_memory()
    count = sum(v.size for v in model.trainable_variables)
    print(
        f"{name:10s} {count:>12,} parameters  built {built - start:5.1f} s  "
        f"forward {forward - built:5.1f} s  backward {backward - forward:5.1f} s  "
        f"peak {peak / 1e9:.2f} GB",
        flush=True,
    )
    assert peak < LIMIT, f"{name} needs {peak / 1e9:.2f} GB"


def main(names: list[str]) -> None:
    """Measure each net in a process of its own."""
    if len(names) == 1:
        measure(names[0])
        return
    for name in names or NETS:
        subprocess.run([sys.executable, __file__, name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
