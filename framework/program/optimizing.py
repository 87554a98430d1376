"""The end of a step: the groups' gradients added, and the parameters moved, in one pass.

Everything an optimizer does is a kernel on a piece of the flat vector, and what belongs to a piece
follows while it is in the cache: gradient, decay, rule, average. Only clipping to a norm makes two
phases of it, because the norm is not known before every gradient is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.naming import is_own
from ..kernels import updates
from .build import Buffer, Build
from .graph import NotNative
from .updating import factors_now, formula_of, rule_of
from .watching import patched

Array = np.ndarray
#: Elements that one task updates: enough to be worth taking, little enough to share out.
CHUNK = 8192


def key_of(optimizer: Any) -> tuple[Any, ...]:
    """What, if it changes, makes the instructions of an `Update` wrong."""
    names = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema",
             "gradient_accumulation_steps")  # fmt: skip
    used = [bool(getattr(optimizer, name)) for name in names]
    flats = [id(flat.values) for flat in optimizer._flats]
    return (id(optimizer), formula_of(optimizer), len(vars(optimizer)), *used, *flats)


def has_kernel(optimizer: Any) -> bool:
    """Whether an optimizer's update is a kernel, rather than NumPy on the flat vector."""
    return rule_of(optimizer) is not None


@dataclass
class _Piece:
    """Elements of the flat vector that are treated alike.

    Attributes:
        first, below: which they are.
        trained: whether they have a gradient.
        decays: whether weight decay is for them.
        norm: the pieces whose norm theirs is cut by: the first, and below which one.
    """

    first: int
    below: int
    trained: bool
    decays: bool
    norm: tuple[int, int] = (0, 0)


class Update:
    """What an optimizer does with the flat vector, as instructions.

    Args:
        optimizer: built on the variables.
        variables: those to train.

    Raises:
        NotNative: the optimizer is a user's own, with a step of its own.

    Attributes:
        offsets: of each variable in the flat vector.
        size: elements of the flat vector.
        rule: what the optimizer's `update` is; None if it stays NumPy.
    """

    def __init__(self, optimizer: Any, variables: list[Any]) -> None:
        if not is_own(type(optimizer).apply) or patched(optimizer) not in (None, "update"):
            name = type(optimizer).__name__
            raise NotNative(f"{name} has an apply() of its own, which may do anything")
        optimizer.build(())  # the slots that its settings ask for by now
        self.optimizer = optimizer
        self.variables = variables
        places = [optimizer._place[v] for v in variables]
        numbers = {number for number, _ in places}
        if len(numbers) != 1:
            raise ValueError("the variables have more than one dtype")
        self.flat = optimizer._flats[numbers.pop()]
        self.flat.attach()
        self.indices = sorted(i for _, i in places)
        self.size = self.flat.values.size
        spans = [self.flat.spans[i] for _, i in places]
        self.offsets = {v: span.start for v, span in zip(variables, spans, strict=True)}
        self.rule = rule_of(optimizer)
        count = self.rule.count if self.rule is not None else 0
        self.settings = np.zeros(updates.FACTORS + count, np.float32)
        self._pieces = self._cut()
        #: The sum of squares of the gradient of each piece.
        self._sums = np.zeros(len(self._pieces), np.float32)

    def _cut(self) -> list[_Piece]:
        """The flat vector in pieces of at most `CHUNK`, apart wherever they are treated apart."""
        flat, o = self.flat, self.optimizer
        trained = set(self.indices)
        whole: list[_Piece] = []
        for i, span in enumerate(flat.spans):
            part = _Piece(span.start, span.stop, i in trained, flat.decays[i])
            last = whole[-1] if whole and not o.clipnorm else None
            if last and (last.trained, last.decays) == (part.trained, part.decays):
                last.below = part.below
            else:
                whole.append(part)
        pieces: list[_Piece] = []
        for part in whole:
            starts = range(part.first, part.below, CHUNK)
            norm = (len(pieces), len(pieces) + len(starts))
            pieces += [
                _Piece(i, min(i + CHUNK, part.below), part.trained, part.decays, norm)
                for i in starts
            ]
        if o.global_clipnorm:
            for piece in pieces:
                piece.norm = (0, len(pieces))
        return pieces

    def emit(self, build: Build, groups: int, pitch: int) -> None:
        """The phases after the shards.

        Args:
            groups: how many slots there are.
            pitch: elements from one to the next.
        """
        o, flat = self.optimizer, self.flat
        rule = self.rule.kernel if self.rule is not None else None
        slots = build.buffer((groups - 1) * pitch + self.size, "gradients of all groups", "slots")

        def whole(name: str, array: Array) -> Buffer:
            return build.fixed(array.ctypes.data, array.size, name)

        weights, gradient = whole("weights", flat.values), whole("gradient", flat.gradient)
        settings, sums = whole("settings", self.settings), whole("sums of squares", self._sums)
        kept = {name: whole(name, array) for name, array in flat.slots.items()}
        waiting = kept.get("gradient_accumulator") if rule else None
        gathered = waiting or gradient

        def gather(number: int, piece: _Piece) -> None:
            arguments = (slots, groups, pitch, piece.first, piece.below, int(waiting is not None))
            build.emit(updates.gather, gathered, *arguments, sums.at(number))

        def move(number: int, piece: _Piece) -> None:
            span = piece.first, piece.below
            source: tuple[Any, ...] = (slots, groups, pitch)
            if prepares and piece.trained:
                if not together:
                    gather(number, piece)
                norms = sums.at(piece.norm[0]), piece.norm[1] - piece.norm[0]
                build.emit(updates.clip, gradient, gathered, *span, settings, *norms)
                if waiting is not None:
                    build.emit(updates.forget, waiting, *span, settings)
                source = (gradient, 1, 0)
            if piece.trained:
                if o.weight_decay and piece.decays:
                    build.emit(updates.decay, weights, *span, settings)
                own: list[Any] = [kept[name] for name in o.slot_names]
                assert rule is not None
                build.emit(rule, *source, *span, settings, weights, *own)
            if o.use_ema:
                build.emit(updates.average, kept["average"], weights, *span, settings)

        together = bool(o.clipnorm or o.global_clipnorm)
        prepares = bool(together or o.clipvalue or waiting)
        build.begin(per_shard=False)
        if rule is None or together:
            self._share_out(build, gather, averages=False)
        if together and rule is not None:
            build.begin(per_shard=False)
        if rule is not None:
            self._share_out(build, move, averages=o.use_ema)

    def _share_out(self, build: Build, emit: Callable[[int, _Piece], None], averages: bool) -> None:
        """Instructions for each piece that is trained (or averaged), in tasks of about `CHUNK`."""
        held = CHUNK
        for number, piece in enumerate(self._pieces):
            if not (piece.trained or averages):
                continue
            held += piece.below - piece.first
            if held > CHUNK:
                build.task()
                held = piece.below - piece.first
            emit(number, piece)

    def set(self) -> None:
        """Before a step: the settings of now."""
        o, now = self.optimizer, self.settings
        if self.rule is None:
            return
        steps, rate = o.gradient_accumulation_steps, o.learning_rate
        now[updates.ACTIVE] = o._updates
        if o._updates:
            now[updates.FACTORS :] = factors_now(o, self.rule)
        now[updates.SHARE] = 1 / steps if steps else 1
        now[updates.LIMIT] = o.clipvalue or 0
        now[updates.NORM] = o.clipnorm or o.global_clipnorm or 0
        now[updates.DECAY] = (o.weight_decay or 0) * rate
        now[updates.AVERAGE] = o._average_keeps
        now[updates.OVERWRITE] = o.use_ema and o._overwrites

    def finish(self) -> None:
        """After a step: what the kernels have not done."""
        o = self.optimizer
        if self.rule is None:
            o.move([self.indices if flat is self.flat else [] for flat in o._flats])
        else:
            o._average([flat for flat in o._flats if flat is not self.flat])
            o._finish(self.variables)
        for variable in self.variables:
            variable._memory.version += 1
