"""What modules show: public names for tab completion, and errors that know what was meant."""

from __future__ import annotations

import types
from importlib import import_module

import pytest

import gradtape as gt
from gradtape import left_out
from gradtape.config import exports

MODULES = [
    "gradtape",
    *(
        f"gradtape.{name}"
        for name in (
            "activations", "callbacks", "config", "constraints", "datasets", "initializers",
            "layers", "losses", "metrics", "models", "ops", "optimizers", "optimizers.schedules",
            "plot", "regularizers", "saving", "utils",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_completion_shows_what_is_public_and_nothing_else(name: str) -> None:
    module = import_module(name)
    shown = dir(module)
    assert len(shown) == len(set(shown)) >= 3
    assert set(shown) >= set(module.__all__)
    for attribute in shown:
        assert not attribute.startswith("_") and hasattr(module, attribute), attribute
    assert not {"Any", "TYPE_CHECKING", "annotations", "np", "import_module"} & set(shown)


def test_every_module_of_the_front_shows_only_what_is_public() -> None:
    found = {f"gradtape.{n}" for n in dir(gt) if isinstance(getattr(gt, n), types.ModuleType)}
    assert found <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_an_unknown_name_is_an_attribute_error_that_knows_what_was_meant(name: str) -> None:
    module = import_module(name)
    known = max(dir(module), key=len)
    with pytest.raises(AttributeError, match=rf"^{name} has no .*Did you mean '{known}'"):
        getattr(module, known[:-2] + known[-1])
    with pytest.raises(AttributeError, match=rf"^{name} has no \w.* 'qqqqq'\.$"):
        module.qqqqq  # noqa: B018
    assert not hasattr(module, "__wrapped__")


@pytest.mark.parametrize("name", ["LSTM", "GRUCell", "Bidirectional", "MultiHeadAttention"])
def test_what_is_left_out_says_why_rather_than_guess(name: str) -> None:
    why = "recurrent layers|attention"
    with pytest.raises(
        AttributeError, match=f"no layer {name!r}. It is left out on purpose: ({why})"
    ):
        getattr(gt.layers, name)
    with pytest.raises(ValueError, match=rf"Unknown layer {name!r}\. It is left out on purpose"):
        gt.layers.deserialize({"class_name": name, "config": {}})
    with pytest.raises(ValueError, match=r"'ftrl'\. It is left out on purpose: for sparse"):
        gt.optimizers.get("ftrl")


def test_nothing_is_left_out_that_is_there() -> None:
    modules = [module for module in left_out.LEFT_OUT if module.islower()]
    assert len(modules) > 4
    for module in modules:
        assert not [n for n in dir(getattr(gt, module)) if left_out.left_out(module, n)]


def test_names_are_imported_once_when_first_asked_for() -> None:
    get, names = exports.exporting(
        "gradtape", ["Model"], later={"prove": ".proof.proof", "plot": ""}
    )
    assert names() == ["Model", "plot", "prove"]
    assert get("prove") is import_module("gradtape.proof.proof").prove
    assert get("plot") is import_module("gradtape.plot")
