"""From a model to a graph: its own `call`, run on placeholders.

Whatever is applied to a placeholder, an op of the registry or a layer, asks the trace, which adds
the nodes of that op (`ops/`) to the graph. So every layer that is made of ops is native, whoever
wrote it. A layer that does anything else (that looks at values, or uses an op without a lowering)
is left to the tape, as an island.

What a trace has read may be another thing at the next batch. Layers of this package are watched
(`watching.py`); the code of users runs again for every batch, on the same placeholders. As long as
it asks for the same as before, nothing is made; from where it asks for something else on, the graph
is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tape import OPS, enable_grad, grad_mode
from ..autograd.tensor import Tensor
from ..autograd.tree import is_shape, rebuilt, tree_leaves
from ..autograd.variable import Variable
from ..config.naming import is_own
from ..errors import ShapeError
from ..kernels.formula import NotElementwise
from .arguments import arrays_of, settings_of
from .formulas import meant
from .graph import Graph, Mark, NotNative, Shape, factors_of
from .lowering import OTHERWISE, TRANSLATIONS
from .notes import noting, set_back
from .traced import Slot, Traced, View, alike, mapped
from .watching import held_by, layers_of, patched

Array = np.ndarray
#: How often the call of a layer may turn out to be another one before it is left to the tape.
PATIENCE = 4
#: How many samples there are in a trace whose code does not look at that.
BATCH = 8
_F32 = np.dtype(np.float32)
#: Arguments that stay what they are.
_SIMPLE = frozenset((Traced, Variable, float, int, bool, str, type(None)))


class _Step(NamedTuple):
    """Something that was asked of a trace: an op or a layer, on what, and what it returned; and
    how long the graph was before."""

    what: Any
    args: Any
    settings: dict[str, Any]
    result: Any
    before: Mark


class _Frame:
    """A layer that is being traced."""

    def __init__(self, layer: Any, training: bool | None, first: int) -> None:
        self.layer, self.training, self.first = layer, training, first
        self.refused: str | None = None
        self.ops: list[str] = []


class _Function(NamedTuple):
    """A function that is traced as if it were the call of a layer."""

    owner: Any
    function: Callable[[Any], Any]

    @property
    def name(self) -> str:
        return str(self.owner.name)

    @property
    def variables(self) -> list[Any]:
        return []


class Trace:
    """What a model does with samples of some shapes.

    Args:
        samples: the shape of a sample, or a list of them, one for each input.
        batch: how many samples there are, which code in Python may look at.
        training: whether layers behave as in training.
        lenient: go on after what can be no island either.
        dtypes: of each input. Default: float32.

    Attributes:
        graph: what was traced, as it was asked for.
        reasons: for each layer that computes something its name, the names of its ops, and why it
            is not native (None if it is).
        watched: layers of this package that were traced: they hold what their calls read.
        again: whether code of users took part, which has to run for every batch.
    """

    def __init__(
        self,
        samples: Any,
        batch: int,
        training: bool = True,
        lenient: bool = False,
        dtypes: Sequence[np.dtype] = (),
    ) -> None:
        several = isinstance(samples, list)
        shapes = [tuple(s) for s in (samples if several else [samples])]
        self.batch, self.training, self.lenient = batch, training, lenient
        self.graph = Graph(list(shapes), inputs=len(shapes))
        kinds = dtypes or [_F32] * len(shapes)
        inputs = [
            Traced(self, value, shape, dtype)
            for value, (shape, dtype) in enumerate(zip(shapes, kinds, strict=True))
        ]
        self.given = inputs if several else inputs[0]
        self.watched: dict[Any, None] = {}
        self.again = False
        self._steps: list[_Step] = []
        self._at, self._lowering = 0, False
        self._frames: list[_Frame] = []
        self._plain: dict[Any, bool] = {}
        self._settled: dict[Any, bool] = {}
        self._changes: dict[Any, int] = {}
        self._unsteady: Any = None
        self._returned: Any = None
        self.changed = True

    @property
    def reasons(self) -> list[tuple[str, list[str], str | None]]:
        return self.graph.reasons

    # Running

    def run(self, model: Any) -> bool:
        """Trace the model (again); returns whether it does something else than before.

        Raises:
            NotNative: the model itself cannot be traced.
            ShapeError: a layer does not take its input.
        """
        self._at, self._frames, self.changed = 0, [], not self._steps
        self._unsteady = None
        with enable_grad():
            if isinstance(model, _Function):
                returned = self._returned_by(model)
            else:
                returned = model(self.given, training=self.training)
        if self._at < len(self._steps):
            self._cut(self._at)
        if self.changed or not alike(returned, self._returned):
            self.changed = True
            self._returned = returned
            leaves = list(tree_leaves(returned))
            if not all(isinstance(t, Traced) and t.dtype == _F32 for t in leaves):
                raise NotNative(f"{model.name!r} returns what is no tensor of floats")
            self.graph.outputs = mapped(lambda t: t.value, returned)
        return self.changed

    def run_function(self, owner: Any, function: Callable[[Any], Any]) -> bool:
        """As `run`, of a function of what is given.

        Args:
            owner: what has it: something with a name.
        """
        return self.run(_Function(owner, function))

    def _returned_by(self, traced: _Function) -> Any:
        self._frames.append(frame := _Frame(traced, self.training, 0))
        try:
            returned = noting(traced.owner, traced.function, (self.given,), {})
        except (NotNative, ShapeError):
            raise
        except Exception as error:
            raise NotNative(frame.refused or f"{type(error).__name__}: {error}") from error
        finally:
            self._frames.pop()
        if frame.refused is not None:
            raise NotNative(frame.refused)
        return returned

    def refusal(self, why: str) -> NotNative:
        """An error for code that asks for what no program can do.

        Code may catch it, and go on as it would not with a tensor: so it is remembered.
        """
        if not self._frames:
            return NotNative(
                "This stood for a tensor while a program was made, and has no values. To keep what "
                "a call computes, set run_eagerly=True in compile()."
            )
        if self._frames[-1].refused is None:
            self._frames[-1].refused = why
        return NotNative(why)

    def _cut(self, at: int) -> None:
        """Forget what was asked for from a step on."""
        if at < len(self._steps):
            self.graph.cut(self._steps[at].before)
            del self._steps[at:]
            self.changed = True
        self._at = at

    def _known(self, what: Any, args: Any, settings: dict[str, Any]) -> _Step | None:
        """The step that is next, if it is this one; else it is forgotten, and all after it."""
        if self._at == len(self._steps):
            return None
        step = self._steps[self._at]
        if (
            (step.what is what or step.what == what)
            and alike(step.args, args)
            and alike(step.settings, settings)
        ):
            self._at += 1
            return step
        self._unsteady = [f.layer for f in self._frames if not self._settled.get(f.layer)][-1]
        self._cut(self._at)
        return None

    def blame(self) -> None:
        """Take note that a graph was made anew, and of the layer that asked for something else."""
        if self._unsteady is not None:
            self._changes[self._unsteady] = self._changes.get(self._unsteady, 0) + 1

    def _note(
        self, what: Any, args: Any, settings: dict[str, Any], result: Any, before: Mark
    ) -> None:
        self._steps.append(_Step(what, args, settings, result, before))
        self._at = len(self._steps)

    # Layers

    def called(
        self,
        layer: Any,
        compute: Callable[..., Any],
        args: tuple[Any, ...],
        settings: dict[str, Any],
    ) -> Any:
        """What a layer returns.

        Raises:
            NotNative: nothing can be made of the layer.
        """
        training = settings.pop("training", None)
        if self._frames:
            training = self._frames[-1].training if training is None else training
            kept = self._kept(args, {**settings, "training": training})
            if self._is_next(layer) and (step := self._known(layer, *kept)) is not None:
                return step.result
        frame = _Frame(layer, training, self._at)
        self._frames.append(frame)
        before = self.graph.mark()
        why: str | None
        try:
            result = self._inside(layer, compute, args, settings, training)
            why = frame.refused
        except ShapeError:
            raise
        except NotNative as error:
            why = frame.refused or str(error)
        except Exception as error:
            why = frame.refused or f"{type(error).__name__}: {error}"
        finally:
            self._frames.pop()
        if why is None:
            self._tell(frame)
            if self._frames and self._is_settled(layer):
                del self._steps[frame.first :]
                self._note(layer, *kept, result, before)
            return result
        if not self._frames:
            raise NotNative(why)
        self._cut(frame.first)
        before = self.graph.mark()
        result = self._island(layer, *kept, why)
        self._note(layer, *kept, result, before)
        return result

    def _inside(
        self,
        layer: Any,
        compute: Callable[..., Any],
        args: tuple[Any, ...],
        settings: dict[str, Any],
        training: bool | None,
    ) -> Any:
        if not layer.built:
            raise NotNative(f"{type(layer).__name__} {layer.name!r} has not been built yet")
        if self._changes.get(layer, 0) > PATIENCE:
            raise NotNative("its call does something else from batch to batch")
        if layer not in self._plain:
            self._plain[layer] = is_plain(layer)
        if self._plain[layer]:
            self.watched[layer] = None
            result = compute(*args, training=training, **settings)
        else:
            self.again = True
            result = noting(layer, compute, args, {**settings, "training": training})
        leaves = list(tree_leaves(result))
        for leaf in leaves:
            if not isinstance(leaf, Traced):
                raise NotNative(f"its call returns {type(leaf).__name__}")
        penalty = layer.activity_regularizer
        if penalty is not None:
            factors = factors_of(penalty)
            if factors is None:
                raise NotNative(f"the activity regularizer of {layer.name!r} has no lowering")
            asked = penalty, tuple(leaves), {"factors": factors}
            if self._known(*asked) is None:
                before = self.graph.mark()
                self.graph.activity += [(leaf.value, penalty) for leaf in leaves]
                self._note(*asked, None, before)
        return result

    def _is_next(self, layer: Any) -> bool:
        """Whether the next step has to be a call of this layer."""
        here = self._at < len(self._steps) and self._steps[self._at].what is layer
        return here or self._is_settled(layer)

    def _is_settled(self, layer: Any) -> bool:
        """Whether a layer does the same as before as long as it is not seen to have changed."""
        if layer not in self._settled:
            self._settled[layer] = all(map(is_plain, layers_of(layer)))
        return self._settled[layer]

    def _tell(self, frame: _Frame) -> None:
        if frame.ops:
            self.graph.reasons.append((frame.layer.name, frame.ops, None))

    def _island(self, layer: Any, args: Any, settings: dict[str, Any], why: str) -> Any:
        """What a layer returns that runs on the tape, between programs."""
        inputs: list[Traced] = []

        def slot(value: Any) -> Any:
            if not isinstance(value, Traced):
                return value.variable if isinstance(value, View) else value
            inputs.append(value)
            return Slot(len(inputs) - 1)

        kept, given = mapped(slot, args), mapped(slot, settings)
        fits = layer.built and layer.dtype == "float32"
        before = dict(held_by(layer))
        shape: Any = self._shape_of(layer, args, settings) if fits or self.lenient else None
        if layer.built == before["built"]:
            set_back(layer, before)
        if fits and is_shape(shape) and shape[0] == self.batch:
            learned = {str(i): v for i, v in enumerate(layer.weights) if v._learnable}
            found = Traced(self, self.graph.add(
                "island", tuple(t.value for t in inputs), tuple(shape[1:]), layer.name, learned,
                runs=layer, args=kept, given=given, why=why,
            ), tuple(shape[1:]))  # fmt: skip
            self.graph.reasons.append((layer.name, [], f"runs on the tape: {why}"))
            return found
        if not self.lenient:
            raise NotNative(why)
        self.graph.reasons.append((layer.name, [], why))
        return self._unknown(shape)

    def _unknown(self, shapes: Any) -> Any:
        """Tensors of these shapes that nothing computes, to look at what comes after them."""
        if not is_shape(shapes):
            values = shapes.values() if isinstance(shapes, dict) else shapes
            return rebuilt(shapes, [self._unknown(s) for s in values])
        self.graph.shapes.append(tuple(shapes[1:]))
        return Traced(self, len(self.graph.shapes) - 1, tuple(shapes[1:]))

    def _shape_of(self, layer: Any, args: Any, settings: dict[str, Any]) -> Any:
        """The shape of what a layer returns, or a structure of shapes, with the batch axis."""
        if len(args) == 1 and not [v for k, v in settings.items() if k != "training"]:
            shapes = mapped(lambda t: t.shape if isinstance(t, Traced) else t, args[0])
            if all(isinstance(t, Traced) for t in tree_leaves(args[0])):
                return layer.compute_output_shape(shapes)

        def zeros(value: Any) -> Any:
            if isinstance(value, View):
                return value.variable
            return np.zeros(value.shape, value.dtype) if isinstance(value, Traced) else value

        given = mapped(zeros, args)
        rest = mapped(zeros, {k: v for k, v in settings.items() if k != "training"})
        return layer._shapes_of(lambda: layer(*given, **rest))

    # Ops

    def applied(self, op: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        """What an op returns.

        Raises:
            NotNative: it has no lowering, or not for these arguments.
        """
        if not self._frames:
            raise self.refusal("it is no time to")
        known = TRANSLATIONS.get(op.name) if OPS.get(op.name, op) is op else None
        if known is None and hasattr(op, "function"):
            return op.function(*args, **settings)  # in other ops
        args, settings = self._kept(args, settings)
        if self._lowering:  # asked for by what another op is made of
            return self._lowered(op, known, args, settings)
        what = self._as_it_is(op, args, settings)
        step = self._known(what, args, settings)
        if step is None:
            before = self.graph.mark()
            self._lowering = True
            try:
                result = self._lowered(op, known, args, settings)
            except NotNative as error:
                raise self.refusal(str(error)) from None
            finally:
                self._lowering = False
            self._note(what, args, settings, result, before)
            self._frames[-1].ops.append(op.name)
        else:
            result = step.result
        return result if grad_mode.enabled else mapped(self.stopped, result)

    def stopped(self, x: Traced) -> Traced:
        """The same values, through which no gradient flows."""
        if self._lowering:
            return self.add("stopped", (x,), x.sample, dtype=x.dtype)
        step = self._known("stopped", (x,), {})
        if step is None:
            before = self.graph.mark()
            result = self.add("stopped", (x,), x.sample, dtype=x.dtype)
            self._note("stopped", (x,), {}, result, before)
            return result
        return step.result

    @staticmethod
    def _as_it_is(op: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        """What tells an op from another: the op itself; of one of a user what its code says now."""
        if is_own(op):
            return op
        try:
            return meant(op, settings_of(op, args, settings))
        except NotElementwise:
            return op

    def _lowered(self, op: Any, known: Any, args: Any, settings: dict[str, Any]) -> Any:
        arrays, rest = arrays_of(op, args), settings_of(op, args, settings)
        if known is None:
            return OTHERWISE[0](self, op, arrays, rest)
        return known(self, *arrays, **rest)

    def _kept(self, args: tuple[Any, ...], settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Arguments as they are remembered: other tensors as views or arrays, arrays by a copy."""
        for value in (*args, *settings.values()):
            if type(value) not in _SIMPLE or (type(value) is Traced and value.trace is not self):
                return mapped(self._argument, (args, settings))
        return args, settings

    def _argument(self, value: Any) -> Any:
        if type(value) is Traced:
            if value.trace is not self:
                raise self.refusal("it uses a tensor of another program")
            return value
        if isinstance(value, Variable):
            return value
        if isinstance(value, Tensor):
            variable = self._viewed(value)
            if variable is not None and value.requires_grad == variable.requires_grad:
                return View(variable, value.shape)
            if value.requires_grad or variable is not None:
                raise self.refusal("it computes with the values of its weights")
            return value.data.copy()
        return value.copy() if isinstance(value, np.ndarray) else value

    def _viewed(self, tensor: Tensor) -> Any:
        """The variable of which a tensor is another view, if it is one as a whole."""
        memory, array = tensor._memory, tensor.data
        for frame in reversed(self._frames):
            for variable in frame.layer.variables:
                if variable._memory is memory and variable.size == array.size:
                    data = variable.data
                    same = array.ctypes.data == data.ctypes.data
                    return variable if same and array.flags.c_contiguous else None
        return None

    def add(
        self,
        op: str,
        inputs: tuple[Traced, ...],
        shape: Shape,
        variables: Any = None,
        dtype: Any = _F32,
        **settings: Any,
    ) -> Traced:
        """Append a node; returns what it computes, of this shape of a sample."""
        name = self._frames[-1].layer.name if self._frames else ""
        values = tuple(t.value for t in inputs)
        value = self.graph.add(op, values, tuple(shape), name, variables, **settings)
        return Traced(self, value, tuple(shape), dtype)


def is_plain(layer: Any) -> bool:
    """Whether the call of a layer itself runs no code of users."""
    if not is_own(type(layer)) or patched(layer):
        return False
    held = [v for v in held_by(layer).values() if callable(v) and not isinstance(v, type)]
    return all([is_own(v if hasattr(v, "__module__") else type(v)) for v in held])
