"""Metrics that are the mean of a function of the package, each class one line of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from ..config.signatures import constructor, hints_of
from .base import Mean, MeanMetricWrapper, Metric


class FunctionMetric(MeanMetricWrapper):
    """Base of the metrics that are the mean of a function of the package.

    A subclass says which, and its arguments with their defaults, other than name and dtype:
    ``class BinaryAccuracy(FunctionMetric, of=binary_accuracy, settings={"threshold": 0.5})``.
    These are attributes of the metric.
    """

    _settings: ClassVar[tuple[str, ...]]
    get_config = Metric.get_config

    if TYPE_CHECKING:  # each class has its own, with the arguments by name

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __init_subclass__(
        cls,
        of: Callable[..., Any] | None = None,
        settings: dict[str, Any] | None = None,
        arguments: tuple[str, ...] = (),
        called: str | None = None,
        direction: str | None = None,
    ) -> None:
        """Give a class the constructor that its function implies.

        Args:
            of: the function; None: that of the base class.
            settings: arguments of the function and of the metric, with their defaults.
            arguments: of the constructor, in order. Default: name, dtype, then the settings.
            called: the default name. Default: the function's.
            direction: of better values.
        """
        super().__init_subclass__()
        if of is None:
            return
        defaults = {"name": called or of.__name__, "dtype": None, **(settings or {})}

        def fill(self: FunctionMetric, given: dict[str, Any]) -> None:
            Mean.__init__(self, given.pop("name") or of.__name__, given.pop("dtype"))
            vars(self).update(given)

        cls.__init__ = constructor(  # type: ignore[method-assign]
            arguments or tuple(defaults),
            defaults,
            fill,
            lambda: {**hints_of(of), "name": str | None},
        )
        cls._fn, cls._settings = staticmethod(of), tuple(settings or ())
        cls.direction = direction

    @property
    def _arguments(self) -> dict[str, Any]:  # type: ignore[override]
        """The settings as they are now: an attribute that was set counts."""
        return {name: getattr(self, name) for name in self._settings}
