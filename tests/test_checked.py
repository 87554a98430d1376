"""Arguments are what their annotations say; nonsense is refused by every public constructor."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.config import checked
from gradtape.config.checked import Axes, Checked, Count, Natural, NotNegative, Numbers, Share
from gradtape.errors import ArgumentError

MODULES = (
    gt.layers, gt.losses, gt.metrics, gt.optimizers, gt.optimizers.schedules, gt.callbacks,
    gt.initializers, gt.regularizers, gt.constraints, gt.utils,
)  # fmt: skip

#: One value for each argument without a default.
NEEDED: dict[str, Any] = {
    "activation": "relu", "axes": 1, "backup_dir": "a", "boundaries": [1], "cropping": 1,
    "decay_rate": 0.9, "decay_steps": 10, "dims": (1,), "factor": 0.1, "filename": "a",
    "filepath": "a.npz", "filters": 2, "first_decay_steps": 10, "fn": gt.losses.mean_squared_error,
    "function": abs, "height": 4, "height_factor": 0.1, "initial_learning_rate": 0.1,
    "input_dim": 4, "kernel_size": 3, "n": 2, "num_classes": 3, "op": "relu", "output_dim": 3,
    "output_size": 2, "padding": 1, "pool_size": 2, "precision": 0.5, "rate": 0.5, "recall": 0.5,
    "scale": 1.0, "schedule": lambda epoch: 0.1, "sensitivity": 0.5, "shape": (3,), "size": 2,
    "specificity": 0.5, "stddev": 0.1, "target_class_ids": [0, 1], "target_shape": (2,),
    "units": 3, "values": [0.1, 0.2], "width": 4, "width_factor": 0.1,
}  # fmt: skip


class Nonsense:
    """Something that no argument can be."""


NONSENSE = [None, "yes", -1, 0, 1.5, math.nan, "1.0", [], {}, Nonsense(), True]

#: What arguments that are `Any` take of it, because it means something.
LEGAL: dict[str, Collection[Any]] = {
    "activation": [None], "activity_regularizer": [None], "data_format": [None],
    "dtype": [None], "fill_value": [-1, 0, 1.5], "output_shape": [None, []],
    "padding": [0], "cropping": [0], "output_padding": [None, 0], "value_range": [],
    "embeddings_metadata": [None, 0, [], {}], "profile_batch": [None, 0, -1, 1.5, [], {}, True],
    "axis": [0, -1], "learning_rate": [0, 1.5], "strides": [None], "weights": [None],
    "sparse": [None, 0, [], {}], "ragged": [None, 0, [], {}], "input_tensor": [None],
    "batch_shape": [None], "reduction": [None], "arguments": [None], "shape": [[]],
}  # fmt: skip
#: Factors of random changes stand for both directions; True is refused.
FACTOR = [-1, 0]
#: The nouns by which messages call arguments that are looked up by name.
NOUNS = ("initializer", "regularizer", "constraint", "activation", "function", "schedule", "shape")


def public() -> Iterator[Any]:
    """Every public class of the package that makes something by itself."""
    seen: set[type] = set()
    for module in MODULES:
        for name in dir(module):
            cls = getattr(module, name)
            if not isinstance(cls, type) or cls in seen or not issubclass(cls, Checked):
                continue
            seen.add(cls)
            alone = not inspect.isabstract(cls) and cls.__name__ not in (
                "CallbackList", "InputLayer", "InputSpec", "Layer", "Loss", "Operation",
                "FunctionLoss", "FunctionMetric", "Constraint", "Initializer", "Regularizer",
            )  # fmt: skip
            if alone and not name.startswith("_"):
                yield pytest.param(cls, id=name)


def arguments_of(cls: Any) -> list[str]:
    """The arguments of a constructor, with those of `Layer` for layers."""
    ways = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [n for n, p in inspect.signature(cls).parameters.items() if p.kind in ways]
    if issubclass(cls, gt.layers.Layer):
        names += ["activity_regularizer", "dtype", "name", "trainable"]
    return list(dict.fromkeys(names))


def meant(cls: Any, name: str, value: Any) -> bool:
    """Whether an argument takes this value because it means something."""
    parameters = inspect.signature(cls).parameters
    if name in parameters and parameters[name].default is value:
        return True
    kinds: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if "__init__" in vars(base) and issubclass(base, Checked):
            kinds |= checked.kinds_of(base.__init__)
    if name in kinds:
        try:
            kinds[name][0].read(value)
        except (ValueError, TypeError):
            return False
        return True
    if name.endswith(("_initializer", "_regularizer", "_constraint")):
        return value is None
    legal = FACTOR if name.endswith(("factor", "scale")) else LEGAL.get(name, [])
    return any(value is v or (type(value) is type(v) and value == v) for v in legal)


@pytest.mark.parametrize("cls", list(public()))
def test_nonsense_is_refused_by_name(cls: Any) -> None:
    parameters = inspect.signature(cls).parameters
    needed = {
        name: NEEDED[name]
        for name, p in parameters.items()
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
    }
    cls(**needed)
    accepted, unclear = [], []
    for name in arguments_of(cls):
        for value in NONSENSE:
            try:
                cls(**{**needed, name: value})
            except (ValueError, TypeError) as error:
                words = str(error)
                called = [name, *NOUNS] + ["factor"] * name.endswith("factor")
                if not any(noun in words for noun in called):
                    unclear.append(f"{name}={value!r}: {words}")
            else:
                if not meant(cls, name, value):
                    accepted.append(f"{name}={value!r}")
    assert not accepted
    assert not unclear


def test_the_constructor_of_every_public_class_is_checked() -> None:
    for parameter in public():
        (cls,) = parameter.values
        for base in cls.__mro__:
            if "__init__" in vars(base) and issubclass(base, Checked):
                checked.kinds_of(base.__init__)  # every annotation can be looked up


def test_numbers_of_numpy_become_those_of_python() -> None:
    layer = gt.layers.Conv2D(
        np.int64(4), np.array([3, 3]), use_bias=np.bool_(False), name=np.str_("c")
    )
    assert (type(layer.filters), layer.use_bias) == (int, False)
    dropout = gt.layers.Dropout(np.float32(0.5), noise_shape=np.array([1, 3]))
    assert (type(dropout.rate), dropout.noise_shape) == (float, (1, 3))
    assert gt.layers.Softmax(axis=np.array([1, 2])).axis == [1, 2]
    assert type(gt.optimizers.Adam(np.float64(0.1), weight_decay=np.float32(0.5)).weight_decay) is (
        float
    )
    assert gt.losses.Huber(np.array(2)).delta == 2


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (Count, [1, np.int8(3)], [0, -1, 1.0, True, "1", None]),
        (Natural, [0], [-1, False, math.nan]),
        (NotNegative, [0, 0.5, np.float32(1), np.array(2.0)], [-1, math.inf, math.nan, "1", True]),
        (Share, [0, 1, 0.5], [1.01, -0.01, [0.5]]),
        (bool, [True, np.bool_(False), 0, 1], [2, "yes", None, 1.0, []]),
        (Count | None, [1, None], [0, "None"]),
        (Axes, [-1, [1, 2], np.array([0, 1])], [[], 1.5, "1", [1.5]]),
        (Sequence[Count | None], [[1, None], ()], [1, "12", [0], {1: 2}]),
        (tuple[int, int], [(1, 2), [3, 4]], [(1,), (1, 2, 3), 5]),
        (Collection[Count], [{1, 2}, [3]], ["1", {0}]),
        (Numbers, [1, 1.5, [[1, 2]], np.ones(3), gt.tensor([1.0])], ["a", [], math.nan, None, {}]),
        (Callable[..., Any] | None, [abs, None], [5, "abs"]),
        (str | None, ["a", None], [5, b"a"]),
        (dict[str, Any] | None, [{}, None], [[], 0]),
    ],
    ids=range(14),
)
def test_kinds(annotation: Any, good: list[Any], bad: list[Any]) -> None:
    kind = checked.kind_of(annotation)
    for value in good:
        kind.read(value)
    for value in bad:
        with pytest.raises(ArgumentError, match="f: x must be "):
            checked.argument("f", "x", value, kind)


def test_an_error_says_who_what_and_why() -> None:
    with pytest.raises(ValueError, match=r"Conv2D 'c': filters must be a positive integer, .* 1.5"):
        gt.layers.Conv2D(1.5, 3, name="c")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"predict: batch_size .* an array of shape \(4, 2"):
        gt.Sequential().predict(np.ones((4, 2)), np.ones((4, 2)))  # type: ignore[arg-type]


def test_constructors_of_users_take_what_they_like() -> None:
    class Mine(gt.layers.Layer):
        """A layer whose annotation is no more than a remark."""

        def __init__(self, count: Count = "many", **kwargs: Any) -> None:  # type: ignore[assignment]
            super().__init__(**kwargs)
            self.count = count

    assert Mine("few").count == "few"  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Mine: trainable must be True or False"):
        Mine(trainable="yes")
