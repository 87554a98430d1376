"""`Layer`: a function of tensors that owns its weights.

A layer is made without knowing its input (`__init__`), creates its weights when it first sees one
(`build`) and computes (`call`). Everything it owns is found by looking at its attributes, so there
is nothing to declare: ``self.blocks.append(Dense(3))`` is enough.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import constraints, initializers, regularizers
from ..autograd.operators import Deferred
from ..autograd.precision import computing_dtype
from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor, as_tensor
from ..autograd.tree import Shape, common_shape, is_shape, shape_map, tree_leaves, tree_map
from ..autograd.variable import Variable
from ..config.checked import Natural, checked
from ..config.configured import said
from ..config.naming import is_own, name_scope, scoped, snake_case, unique_name
from ..config.serialization import serialize
from ..config.tracebacks import shorten
from ..errors import ShapeError
from ..metrics.base import fill
from . import arguments
from .added import OuterCall
from .building import once
from .input_spec import InputSpec, LayerError
from .ownership import Owner
from .symbolic import (
    Call,
    SymbolicTensor,
    calls_of,
    shape_of_tensor,
    shapes_in,
    symbolic_leaves,
    trial_zeros,
)
from .window import Window

#: The shape of a symbolic tensor: its own, or for another input.
ShapeOf = Callable[[SymbolicTensor], Shape]


class _Context(threading.local):
    training: bool | None = None
    placeholders: bool = False
    outer: OuterCall | None = None


_context = _Context()


@contextmanager
def placeholder_weights() -> Iterator[None]:
    """Weights made inside have a shape but take no memory, until an array is put into them."""
    before = _context.placeholders
    _context.placeholders = True
    try:
        yield
    finally:
        _context.placeholders = before


class Layer(Owner):
    """Base class of layers and models.

    Subclasses define ``call(self, x)``, with a ``training`` argument if they behave differently
    while training; ``build(self, input_shape)`` if they have weights; ``get_config(self)`` if they
    take arguments and should be saved.

    Args:
        activity_regularizer: a function of the output, as in ``"l2"``, whose value, divided by the
            number of samples, belongs to the loss.
        trainable: whether an optimizer should update the weights.
        dtype: ``"float32"`` or ``"float64"``: of the weights, and what inputs are converted to.
        name: unique in its model. Default: the class in snake case, numbered.

    Attributes:
        built: whether the weights exist.
        input_spec: an `InputSpec`, or None to accept everything.
        casts_integers: whether integer inputs become floats, as floats of another dtype do.

    Raises:
        TypeError: an argument that the layer does not take.
    """

    input_spec: InputSpec | None = None
    casts_integers: bool = False
    _takes_training: bool = False
    #: Whether `get_config` is that of `Layer`, and whether it has to say arguments by itself.
    _basic_config: bool = True
    _automatic_config: bool = False
    _given: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        if cls._automatic_config:
            self._given = arguments.plain_arguments(cls, args, kwargs)
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = once(cls.build)  # type: ignore[method-assign]
        says, own = "get_config" in vars(cls), "_basic_config" in vars(cls)
        if says and not own:
            cls._basic_config = False
        if says or "__init__" in vars(cls):
            cls._automatic_config = cls._basic_config and not own and not is_own(cls)
        if "call" in vars(cls):
            parameters = inspect.signature(cls.call).parameters
            cls._takes_training = "training" in parameters

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._first_shape = arguments.first_shape(kwargs)
        if kwargs:
            raise arguments.unknown_argument(type(self), next(iter(kwargs)))
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(
                f"The name of a layer must be a string without '/', received {name!r}."
            )
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.dtype = arguments.float_dtype(dtype)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.built = False
        self._trainable = bool(trainable)
        self._building = False
        self._build_shape: Any = None
        self._weights: list[Variable] = []
        self._states: list[Variable] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    # Building

    def build(self, input_shape: Any) -> None:
        """Create the weights. Subclasses with weights override this and call `add_weight`.

        Args:
            input_shape: ``(None, ...)``, with None for axes of any length; the batch axis is one.
        """

    @checked
    def add_weight(
        self,
        shape: Sequence[Natural] | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """A new weight of this layer.

        Args:
            shape: of the weight. Default: ``()``, a scalar.
            initializer: name, configuration or callable. Default: Glorot uniform, zeros for
                integers.
            dtype: default: the layer's.
            trainable: False for a state that is not learned, such as a moving mean.
            regularizer: name, configuration or function of the weight, added to `losses`.
            constraint: name, configuration or function of the weight to what it becomes after each
                step.
            autocast: without effect, as there is one precision.
            aggregation, overwrite_with_gradient: ``"none"`` and False, as there is one machine.
            name: as in ``"kernel"``.

        Raises:
            ValueError: another `aggregation`, or an initializer that returns another shape.
        """
        if aggregation != "none" or overwrite_with_gradient:
            raise ValueError(
                f"{self._where}: add_weight takes aggregation='none' and overwrite_with_gradient="
                f"False only, received {aggregation!r} and {overwrite_with_gradient!r}."
            )
        kind = np.dtype(dtype or self.dtype)
        initializer = initializers.get(
            initializer or ("glorot_uniform" if kind.kind == "f" else "zeros")
        )
        sizes = () if shape is None else tuple(shape)
        if _context.placeholders:
            values: Any = np.broadcast_to(np.zeros((), kind), sizes)
        else:
            values = initializer(sizes, kind.name)
            if not isinstance(initializer, initializers.Initializer):
                values = Tensor(values)  # a copy: a function may return the same array again
        variable = self._own(name or "variable", values, kind, trainable)
        if variable.shape != sizes:
            raise ValueError(
                f"The initializer of {variable.path!r} returned shape {variable.shape}, expected "
                f"{sizes}."
            )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._weights.append(variable)
        return variable

    def add_state(self, name: str, values: np.ndarray) -> Variable:
        """A new variable that is saved with the model but is no weight, such as a counter."""
        state = self._own(name, values, values.dtype, trainable=False)
        self._states.append(state)
        return state

    def _own(self, name: str, values: Any, dtype: np.dtype, trainable: bool) -> Variable:
        path = scoped(name) if self._building else f"{self.name}/{name}"
        array = as_tensor(values, dtype).data
        variable = Variable.around(array, trainable=trainable, name=name, path=path)
        variable.freeze(not self._trainable)
        return variable

    # Calling

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The computation; subclasses override this."""
        raise TypeError(f"{type(self).__name__} must define call(self, inputs).")

    def __call__(self, inputs: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Compute, building the layer first if this is its first input.

        Args:
            inputs: a tensor or array, or a list or dict of them. Floats are converted to the
                layer's dtype.
            training: whether this is a training step. Default: as the layer that calls this one.
                Said in the call of a layer in a model, it is so for that layer in every step.

        Raises:
            ShapeError: an input that the layer cannot take; it names the layer.
        """
        if not hasattr(self, "_states"):
            raise TypeError(f"{type(self).__name__}.__init__ must call super().__init__().")
        try:
            for leaf in tree_leaves((inputs, args, kwargs) if args or kwargs else inputs):
                if isinstance(leaf, Deferred):
                    kwargs["training"] = training
                    return leaf.called(self, self._compute, (inputs, *args), kwargs)
            return self._compute(inputs, *args, training=training, **kwargs)
        except BaseException as error:
            shorten(error)
            raise

    def _compute(self, inputs: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """What `__call__` does on tensors, and on placeholders that stand for them."""
        before, outer = _context.training, _context.outer
        try:
            inputs = tree_map(self._convert, inputs)
            if training is None:
                training = before
            if self._takes_training and training is not None:
                kwargs["training"] = training
            _context.training = training
            if outer is None:
                _context.outer = OuterCall(self)
            self._prepare(tree_map(lambda t: t.shape, inputs))
            with name_scope(self.name):
                outputs = self.call(inputs, *args, **kwargs)
            if outputs is None:
                raise TypeError(f"{self._where}: its call must return tensors, not None.")
            if self.activity_regularizer is not None:
                self._regularize(outputs)
            return outputs
        except LayerError:
            raise
        except ShapeError as error:
            raise LayerError(f"{self._where}: {error}") from error
        finally:
            _context.training, _context.outer = before, outer

    def add_loss(self, loss: Any) -> None:
        """Add to the loss of the model that this layer is in; to be called within `call`.

        Args:
            loss: a tensor of one element, or a structure of them.

        Raises:
            ValueError: something that is no tensor.
        """
        for value in tree_leaves(loss):
            if not isinstance(value, Tensor):
                raise ValueError(
                    f"{self._where}: add_loss() takes tensors, received {value!r}. Compute them in "
                    "gt.ops, from the inputs of call()."
                )
            (_context.outer or OuterCall(self)).add(self, value)

    def _regularize(self, outputs: Any) -> None:
        """Add what the activity regularizer says of the outputs, for each sample."""
        for output in tree_leaves(outputs):
            if isinstance(output, Tensor):
                samples = output.shape[0] if output.ndim else 1
                self.add_loss(self.activity_regularizer(output) / max(samples, 1))

    def _prepare(self, shape: Any) -> None:
        """Check the shape of the input, and build on it if this is the first."""
        self.check_input(shape)
        if not self.built:
            self._build_on(shape_map(lambda s: (None, *s[1:]), shape))

    def _build_on(self, input_shape: Any) -> None:
        """Build because a first input is there."""
        self.build(input_shape)

    def check_input(self, shape: Any) -> None:
        """Refuse an input that the layer cannot take.

        Args:
            shape: of the input, None where any length will do.

        Raises:
            ShapeError: the rank or the length of an axis differs from `input_spec`.
        """
        if self.input_spec is not None:
            if not is_shape(shape):
                raise LayerError(f"{self._where} takes one input, received {len(shape)}.")
            self.input_spec.check(self._where, tuple(shape))

    def _convert(self, value: Any) -> Tensor:
        """One input as a tensor of the layer's dtype."""
        if not isinstance(value, (Tensor, Deferred)):
            value = self._numbers(value)
        casts = value.dtype.kind == "f" or (self.casts_integers and value.dtype.kind in "biu")
        return as_tensor(value, computing_dtype(self.dtype) if casts else None)

    def _numbers(self, value: Any) -> np.ndarray:
        """An input that is no tensor, as an array."""
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{self._where} takes tensors and arrays, received {value!r}.")
        return array

    def _call_symbolic(self, inputs: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        """The symbolic outputs for symbolic inputs, which are remembered as a call."""
        training = settings.pop("training", None)
        if training is not None and self._takes_training:
            settings["training"] = training
        self._prepare(shapes_in(inputs[0], shape_of_tensor))
        return self._record(Call(self, inputs, settings))

    def _record(self, call: Call) -> Any:
        """The symbolic outputs of a call."""
        return call.returns(self._output_shapes(call, shape_of_tensor), self.dtype)

    @property
    def input(self) -> Any:
        """The symbolic tensor, or structure of them, that the layer was called on.

        Raises:
            AttributeError: it was not called on any, or more than once.
        """
        return self._only_call("input").inputs[0]

    @property
    def output(self) -> Any:
        """What the layer returned for `input`, as in ``gt.Model(net.inputs, layer.output)``.

        Raises:
            AttributeError: it was not called on a symbolic tensor, or more than once.
        """
        return self._only_call("output").outputs

    def _only_call(self, what: str) -> Call:
        calls = calls_of(self)
        if len(calls) == 1:
            return calls[0]
        if not calls:
            raise AttributeError(
                f"{self._where} has no {what} yet: call it on gt.Input(...), or on the output of "
                "a layer that was; or build the Sequential model it is in."
            )
        raise AttributeError(
            f"{self._where} was called {len(calls)} times, so it has more than one {what}. "
            "Keep the tensors that the calls return."
        )

    # Shapes

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for a shape of the input, None where any length will do.

        By default the layer is tried on zeros, twice; axes whose length differs are open.
        """
        return common_shape(*(self._try(self, input_shape, length) for length in (2, 3)))

    def _output_shapes(self, call: Call, shape_of: ShapeOf) -> Any:
        if self.tries(call):
            return common_shape(*(self._try_call(call, shape_of, length) for length in (2, 3)))
        return self.compute_output_shape(shapes_in(call.inputs[0], shape_of))

    def tries(self, call: Call) -> bool:
        """Whether only a trial on zeros can tell the output shapes of a call."""
        return next(symbolic_leaves((call.inputs[1:], call.settings)), None) is not None

    def _try_call(self, call: Call, shape_of: ShapeOf, length: int) -> Any:
        inputs, settings = call.on_zeros(shape_of, length)
        return self._shapes_of(lambda: self(*inputs, **settings))

    def _try(self, function: Callable[..., Any], input_shape: Any, length: int) -> Any:
        """The output shapes of `function` on zeros, with `length` for axes that are open."""
        zeros = shape_map(lambda s: self._convert(trial_zeros(s, self.dtype, length)), input_shape)
        return self._shapes_of(lambda: function(zeros))

    def _shapes_of(self, function: Callable[[], Any]) -> Any:
        """The shapes of what `function` returns; it leaves no tape and no traces in the layers."""
        before, outer = _context.training, _context.outer
        _context.training, _context.outer = False, OuterCall(None)
        metrics = [(v, v.data.copy()) for v in self.metrics_variables]
        try:
            with no_grad():
                outputs = function()
        finally:
            _context.training, _context.outer = before, outer
            for variable, values in metrics:
                fill(variable, values)
        for leaf in tree_leaves(outputs):
            if not hasattr(leaf, "shape"):
                raise TypeError(f"{self._where} must return tensors, its call returned {leaf!r}.")
        return tree_map(lambda t: t.shape, outputs)

    @property
    def input_shape(self) -> Any:
        """The shape that the layer was built for, None where any length will do."""
        if not self.built:
            raise AttributeError(f"{self._where} has no input shape yet: it has not been built.")
        return self._build_shape

    @property
    def output_shape(self) -> Any:
        """The shape of the output for `input_shape`."""
        calls = calls_of(self)
        if self.built and len(calls) == 1:
            return tree_map(shape_of_tensor, calls[0].outputs)
        return self.compute_output_shape(self.input_shape)

    # What it costs, and what it sees; see `gradtape.analysis`

    def multiply_adds(self, input_shape: Any, output_shape: Any) -> int:
        """How many products with weights one sample takes: by default every weight with two axes
        or more is used once. Layers that use them more often override this.

        Args:
            input_shape, output_shape: whole numbers, but for the batch axis.
        """
        return sum(w.size for w in self.weights if w.ndim > 1)

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        """What one position of the output sees along the spatial axes of the input, or of one of
        the inputs; None: all of it.

        By default that is its own position if the spatial axes keep their lengths and there are no
        weights with two axes or more, and otherwise everything.
        """
        if any(w.ndim > 1 for w in self.weights) or len(input_shape) != len(output_shape):
            return None
        axes = slice(1, None if len(input_shape) < 3 else -1)
        same = input_shape == output_shape or input_shape[axes] == output_shape[axes]
        return Window.point(input_shape) if same else None

    # Saving

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer again, as plain data.

        A class with arguments that are numbers, strings, or lists or dicts of them need not define
        it: what the layer was made with is remembered.

        Raises:
            TypeError: the class takes other arguments, but does not say them.
        """
        config = {"name": self.name, "trainable": self._trainable, "dtype": self.dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize(self.activity_regularizer)
        config |= said(self, Layer, ours=True)
        return arguments.with_plain(self, config) if self._automatic_config else config


Layer.build = once(Layer.build)  # type: ignore[method-assign]
