"""`Topology`: what a functional model computes, as calls of layers in the order they were made.

Inputs are always older than outputs, so rising serial order *is* a valid order: no recursion, no
sorting pass, and no cycle that could be built.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..autograd.tensor import Tensor
from ..autograd.tree import Shape, is_shape, shape_map, tree_leaves, tree_map
from ..config.allowance import limited, spend
from ..config.naming import unique_name
from ..config.serialization import deserialize, serialize
from .base import Layer
from .core import InputLayer
from .input_spec import LayerError
from .recalling import recalled
from .symbolic import Call, SymbolicTensor, symbolic_leaves
from .wire import from_plain, to_plain

#: What a call of a layer takes: less memory than this, but also time.
_CALL = 8_000


class _Slot:
    """Where a tensor is while the model runs."""

    shape = ()  # so that lists of slots are structures, as lists of tensors are

    def __init__(self, number: int) -> None:
        self.number = number


class _Step(NamedTuple):
    """One call: where it finds its inputs, where it puts its outputs, what nobody needs after."""

    layer: Layer
    only: int | None
    inputs: Any
    settings: dict[str, Any]
    outputs: list[tuple[int, int]]
    done: list[int]


class Topology:
    """Calls of layers between inputs and outputs.

    Args:
        inputs: a symbolic tensor, or a list or dict of them.
        outputs: likewise.
        where: the model, for errors.

    Attributes:
        inputs, outputs: as given.
        calls: in the order of computation, without those of the inputs.
        layers: from the inputs to the outputs as Keras lists them, the `InputLayer`s among them.
        made: the same layers, inputs first, then in the order of their first call.
        input_layers: one for each input, in the order of `inputs`.

    Raises:
        TypeError: an input or output that is no symbolic tensor.
        ValueError: an output that needs an `Input` that is not listed, an input listed twice, or
            two layers of one name.
    """

    def __init__(self, inputs: Any, outputs: Any, where: str) -> None:
        self.inputs, self.outputs = inputs, outputs
        self._inputs = _symbolic(inputs, "inputs", where)
        self._outputs = _symbolic(outputs, "outputs", where)
        if len({id(t) for t in self._inputs}) < len(self._inputs):
            raise ValueError(f"{where}: an input is listed twice in {inputs}.")
        self.input_layers = [_input_layer(t) for t in self._inputs]
        self.calls = self._reach(where)
        first = {id(v): v for v in [c.layer for c in self._input_calls() + self.calls]}
        self.made: list[Layer] = list(first.values())
        self.layers = self._listed_from_outputs()
        names = Counter(layer.name for layer in self.layers)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(
                f"{where} has {names[twice[0]]} layers named {twice[0]!r}. Pass another name=."
            )
        self._steps = self._plan()

    def _input_calls(self) -> list[Call]:
        return [layer._own_call for layer in self.input_layers]

    def _reach(self, where: str) -> list[Call]:
        """The calls that the outputs depend on, oldest first."""
        known = {id(t) for t in self._inputs}
        found: dict[int, Call] = {}
        pending = list(self._outputs)
        while pending:
            tensor = pending.pop()
            call = tensor.call
            if id(tensor) in known or id(call) in found:
                continue
            if isinstance(call.layer, InputLayer):
                listed = ", ".join(layer.name for layer in self.input_layers)
                raise ValueError(
                    f"{where}: the outputs depend on Input {call.layer.name!r} {tensor.shape}, "
                    f"which is not among the inputs ({listed}). Add it to inputs, or connect the "
                    "outputs to the inputs that are listed."
                )
            found[id(call)] = call
            pending.extend(call.sources())
        return sorted(found.values(), key=lambda call: call.serial)

    def _listed_from_outputs(self) -> list[Layer]:
        """The layers by falling distance from the outputs, that is the longest way; equals in the
        order in which a walk back from the outputs meets them. So weights have Keras's order."""
        own = {id(t): call for t, call in zip(self._inputs, self._input_calls(), strict=True)}

        def before(call: Call) -> list[Call]:
            return [] if id(call) in starts else [own.get(id(t), t.call) for t in call.sources()]

        starts = {id(call) for call in own.values()}
        distance: dict[int, int] = {}  # of calls
        reached: dict[int, int] = {}  # of layers
        for call in reversed([*own.values(), *self.calls]):
            far = max(distance.get(id(call), 0), reached.get(id(call.layer), 0))
            reached[id(call.layer)] = far
            for source in before(call):
                distance[id(source)] = max(distance.get(id(source), 0), far + 1)
        met: dict[int, None] = {}
        seen: set[int] = set()
        pending = [own.get(id(t), t.call) for t in reversed(self._outputs)]
        while pending:
            call = pending.pop()
            if id(call) not in seen:
                seen.add(id(call))
                met.setdefault(id(call.layer))
                pending.extend(reversed(before(call)))
        order = {layer: i for i, layer in enumerate(met)}
        return sorted(
            self.made, key=lambda layer: (-reached.get(id(layer), 0), order.get(id(layer), -1))
        )

    def _plan(self) -> list[_Step]:
        """Every tensor gets a number; what it holds is dropped after its last use."""
        slots = {id(t): i for i, t in enumerate(self._inputs)}
        kept = {id(t) for t in self._outputs}
        last: dict[int, int] = {}
        made: list[list[tuple[int, int]]] = []
        for number, call in enumerate(self.calls):
            for source in call.sources():
                last[id(source)] = number
            made.append([])
            for tensor in tree_leaves(call.outputs):
                if id(tensor) not in slots:  # or it is an input of the model
                    slots[id(tensor)] = len(slots)
                    made[-1].append((tensor.index, slots[id(tensor)]))
                last.setdefault(id(tensor), number)
        done: list[list[int]] = [[] for _ in self.calls]
        for key, number in last.items():
            if key not in kept and number >= 0:
                done[number].append(slots[key])

        def slot(leaf: Any) -> Any:
            return _Slot(slots[id(leaf)]) if isinstance(leaf, SymbolicTensor) else leaf

        self._count = len(slots)
        self._results = tree_map(slot, self.outputs)
        steps = []
        for call, outputs, over in zip(self.calls, made, done, strict=True):
            inputs = tree_map(slot, call.inputs)
            only = inputs[0].number if len(inputs) == 1 and isinstance(inputs[0], _Slot) else None
            settings = tree_map(slot, call.settings)
            steps.append(_Step(call.layer, only, inputs, settings, outputs, over))
        return steps

    # How it looks

    @property
    def linear(self) -> bool:
        """Whether every call is made on what the one before returned."""
        before = self._input_calls()
        for call in self.calls:
            if len(before) != 1 or [t.call for t in call.sources()] != before:
                return False
            before = [call]
        return len(before) == 1

    def calls_of(self, layer: Any) -> list[Call]:
        """The calls of a layer in this model."""
        return [c for c in self._input_calls() + self.calls if c.layer is layer]

    # What arrives

    @property
    def input_names(self) -> list[str]:
        """What the inputs are called in a dict: by its own keys, or by their layers."""
        if isinstance(self.inputs, dict):
            return list(self.inputs)
        return [layer.name for layer in self.input_layers]

    @property
    def output_names(self) -> list[str]:
        """What the outputs are called: by the keys of a dict, or by the layers that make them."""
        if isinstance(self.outputs, dict):
            return list(self.outputs)
        taken: Counter[str] = Counter()
        return [unique_name(t.call.layer.name, taken) for t in self._outputs]

    def listed(self, inputs: Any, leaves: Callable[[Any], Iterable[Any]], where: str) -> list[Any]:
        """Inputs, or their shapes, in the order of `input_layers`.

        Args:
            inputs: as given to the model: one, a list, or a dict by name.
            leaves: how to list them.
            where: the model, for errors.

        Raises:
            LayerError: too many, too few, or unknown names.
        """
        names = self.input_names
        if isinstance(inputs, dict):
            if set(inputs) != set(names):
                raise LayerError(
                    f"{where} takes inputs named {', '.join(names)}, received "
                    f"{', '.join(map(str, inputs))}."
                )
            inputs = [inputs[name] for name in names]
        found = list(leaves(inputs))
        if len(found) != len(names):
            raise LayerError(
                f"{where} takes {len(names)} input{'s' if len(names) > 1 else ''} "
                f"({', '.join(names)}), received {len(found)}."
            )
        return found

    def check(self, shapes: Any, where: str) -> None:
        """Refuse inputs of other shapes than those of the `Input`s."""
        for layer, shape in zip(
            self.input_layers, self.listed(shapes, shape_leaves, where), strict=True
        ):
            named = where if len(self.input_layers) == 1 else f"{where}, input {layer.name!r}"
            layer.refuse(shape, named)

    # What it computes

    def run(self, inputs: Any, where: str) -> Any:
        """The outputs for tensors."""
        values: list[Any] = [None] * self._count
        given = self.listed(inputs, tree_leaves, where)
        for slot, (source, value) in enumerate(zip(self.input_layers, given, strict=True)):
            values[slot] = source(value)

        def value_of(leaf: Any) -> Any:
            return values[leaf.number] if isinstance(leaf, _Slot) else leaf

        for layer, only, places, settings, outputs, done in self._steps:
            if only is not None and not settings:
                result = layer(values[only])
            else:
                args, given_settings = tree_map(value_of, (places, settings))
                result = layer(*args, **given_settings)
            if isinstance(result, Tensor):
                if outputs:
                    values[outputs[0][1]] = result
            else:
                results = list(tree_leaves(result))
                for index, slot in outputs:
                    values[slot] = results[index]
            for slot in done:
                values[slot] = None
        return tree_map(value_of, self._results)

    def output_shapes(self, input_shapes: Any, where: str) -> Any:
        """The shapes of the outputs for those of the inputs."""
        given = self.listed(input_shapes, shape_leaves, where)
        shapes: dict[int, Shape] = {
            id(t): layer.fitted(tuple(shape))
            for t, layer, shape in zip(self._inputs, self.input_layers, given, strict=True)
        }

        def shape_of(tensor: SymbolicTensor) -> Shape:
            return shapes[id(tensor)]

        for call in self.calls:
            made = shape_leaves(call.layer._output_shapes(call, shape_of))
            for tensor, shape in zip(tree_leaves(call.outputs), made, strict=True):
                shapes.setdefault(id(tensor), shape)
        return tree_map(shape_of, self.outputs)

    # As plain data

    def get_config(self) -> dict[str, Any]:
        """Layers, calls by the numbers of their layers, and tensors by the numbers of their calls.

        Raises:
            TypeError: a layer or an argument of a call cannot be written down.
        """
        numbers = {id(t): (i, 0) for i, t in enumerate(self._inputs)}
        for number, call in enumerate(self.calls, start=len(self._inputs)):
            for tensor in tree_leaves(call.outputs):
                numbers.setdefault(id(tensor), (number, tensor.index))
        place = {id(layer): i for i, layer in enumerate(self.made)}

        def plain(value: Any) -> Any:
            return to_plain(value, lambda t: list(numbers[id(t)]))

        return {
            "layers": [serialize(layer) for layer in self.made],
            "calls": [
                {
                    "layer": place[id(call.layer)],
                    "inputs": plain(list(call.inputs)),
                    "settings": plain(call.settings),
                    **_returned(call),
                }
                for call in self.calls
            ],
            "inputs": plain(self.inputs),
            "outputs": plain(self.outputs),
        }


def _returned(call: Call) -> dict[str, Any]:
    """What a call returns, if only a trial could tell: a file that is read is not tried."""
    if not call.layer.tries(call):
        return {}
    outputs = call.outputs
    dtype = next(tree_leaves(outputs)).dtype
    return {"returns": {"shapes": serialize(tree_map(lambda t: t.shape, outputs)), "dtype": dtype}}


def tensors_from_config(config: dict[str, Any], layers: list[Any] | None = None) -> tuple[Any, Any]:
    """The inputs and outputs that `Topology.get_config` described.

    Args:
        config: what it returned.
        layers: the layers to connect. Default: new ones, as it describes them.

    Raises:
        ValueError: a call of a layer or of a tensor that is not there before it.
    """
    if layers is None:
        layers = [deserialize(c, "layer", "layers") for c in config["layers"]]
    sources = [layer for layer in layers if isinstance(layer, InputLayer)]
    made: list[list[Any]] = [[layer.output] for layer in sources]

    def tensor(place: Any) -> Any:
        number, index = place
        if not 0 <= number < len(made) or not 0 <= index < len(made[number]):
            raise ValueError(
                f"a layer is called on output {index} of call {number}, which does not come before "
                "it: the calls of the model form a cycle, or some are missing"
            )
        return made[number][index]

    for call in config["calls"]:
        number = call["layer"]
        if not isinstance(number, int) or not 0 <= number < len(layers):
            raise ValueError(f"there is no layer {number!r} to call")
        spend(_CALL, "the calls of layers that it describes")
        inputs, settings = (from_plain(call[k], tensor) for k in ("inputs", "settings"))
        made.append(
            list(tree_leaves(_called(layers[number], inputs, settings, call.get("returns"))))
        )
    return from_plain(config["inputs"], tensor), from_plain(config["outputs"], tensor)


def _called(layer: Any, inputs: Any, settings: Any, returned: Any) -> Any:
    """The outputs of a layer for symbolic tensors, as they were written down if they were.

    Raises:
        ValueError: there are no symbolic tensors, or nobody says what comes of them.
    """
    if next(symbolic_leaves((inputs, settings)), None) is None:
        raise ValueError(f"layer {layer.name!r} is called on no tensor of the model")
    if returned is not None:
        return recalled(layer, inputs, settings, returned["shapes"], returned["dtype"])
    if limited() and layer.tries(Call(layer, tuple(inputs), settings)):
        raise ValueError(
            f"the file does not say what {layer.name!r} returns, as those of earlier versions do "
            "not, and nothing that it names is tried unasked. If you trust it, load it with "
            "safe_mode=False, and save it again"
        )
    return layer(*inputs, **settings)


def shape_leaves(shapes: Any) -> list[Shape]:
    """Every shape of a structure, in order."""
    found: list[Shape] = []
    if is_shape(shapes):
        return [tuple(shapes)]
    shape_map(found.append, shapes)
    return found


def _input_layer(tensor: SymbolicTensor) -> InputLayer:
    """The `InputLayer` of an input; a new one if a model starts in the middle of another."""
    layer = tensor.call.layer
    if isinstance(layer, InputLayer):
        return layer
    name = f"{tensor.name}_input"
    return InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)


def _symbolic(value: Any, what: str, where: str) -> list[SymbolicTensor]:
    leaves = list(tree_leaves(value))
    for leaf in leaves:
        if isinstance(leaf, Layer):
            raise TypeError(
                f"{where}: {what} are the tensors that layers return, received the layer "
                f"{leaf.name!r} itself. Call it: x = {leaf.name}(x)."
            )
        if not isinstance(leaf, SymbolicTensor):
            raise TypeError(
                f"{where}: {what} must be symbolic tensors, that is gt.Input(shape) and what "
                f"layers return for it, received {type(leaf).__name__}. Arrays go into the model "
                "once it is made: model(array)."
            )
    if not leaves:
        raise ValueError(f"{where} has no {what}.")
    return leaves
