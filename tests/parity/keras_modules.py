"""Every public module of Keras: those compared name by name, and what there is of the others."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Collection, Iterator
from types import ModuleType

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"
import keras

NONE = ""
#: Modules that are not compared name by name: where such names are here, and what a user finds.
OTHERS: dict[str, tuple[str, str]] = {
    r"keras": ("", "the names of the package itself"),
    r"ops\..*": ("ops", "parts of `ops`"),
    r"ops": (
        "ops",
        "as far as these lectures need them: under NumPy's names, compared with PyTorch by "
        "`make parity`; NumPy's own functions work on tensors",
    ),
    r"applications\..*": ("models", "parts of `applications`"),
    r"applications": (
        "models",
        "`gradtape.models` has the nets of the classic lectures to be trained: no weights to load",
    ),
    r"datasets": ("datasets", '`gradtape.datasets.load("mnist")` and others'),
    r"datasets\.(mnist|fashion_mnist|cifar10)": (
        NONE, "is there: `gradtape.datasets.load(name)` returns what its `load_data()` does",
    ),
    r"datasets\..*": (NONE, "text, tables and larger photographs are out of scope"),
    r"random": (NONE, "out of scope: NumPy's generators; layers and `fit` count their own"),
    r"config": (NONE, "out of scope: float32 by default, channels last, one back end"),
    r"tree": (NONE, "out of scope: transformations take nested lists, tuples and dicts"),
    r"backend": (NONE, "out of scope: there is one back end"),
    r"(dtype_policies|mixed_precision|quantizers)": (
        NONE, "out of scope: one precision for a model",
    ),
    r"distribution": (NONE, "out of scope: one machine"),
    r"distillation": (NONE, "out of scope"),
    r"export": (NONE, "out of scope"),
    r"wrappers": (NONE, "out of scope: scikit-learn"),
    r"visualization": (NONE, "out of scope: `gradtape.plot` draws images, filters and curves"),
    r"utils\.bounding_boxes": (NONE, "out of scope: detection"),
    r"utils\.legacy": ("utils", "old names of `utils`"),
    r"preprocessing(\..*)?": ("utils", "old names of `utils`"),
    r"legacy(\..*)?": ("utils", "old names of `utils`"),
    r"optimizers\.legacy": ("optimizers", "old names of `optimizers`"),
}  # fmt: skip


def modules() -> Iterator[str]:
    """The dotted name of every public module of Keras, without ``keras.``; ``keras`` itself first.

    Those below ``src`` are its inside, and some modules are attributes of several.
    """

    def below(module: ModuleType, path: str) -> Iterator[str]:
        for name in sorted(dir(module)):
            inner = getattr(module, name)
            own = inspect.ismodule(inner) and inner.__name__ == f"keras.{path}{name}"
            if own and name != "src" and not name.startswith("_"):
                yield path + name
                yield from below(inner, f"{path}{name}.")

    yield "keras"
    yield from below(keras, "")


def public_names(module: str) -> list[str]:
    """The public names in a module of Keras."""
    found = keras
    for part in module.split(".") if module != "keras" else ():
        found = getattr(found, part)
    return [
        n for n in sorted(dir(found))
        if not n.startswith("_") and not inspect.ismodule(getattr(found, n))
    ]  # fmt: skip


def place(module: str) -> tuple[str, str] | None:
    """What `OTHERS` says of a module."""
    return next((said for p, said in OTHERS.items() if re.fullmatch(p, module)), None)


def there(module: str) -> list[str]:
    """The names of a module of `OTHERS` that are public here."""
    said = place(module)
    if said is None or (said[0] == NONE and module != "keras"):
        return []
    ours = getattr(gt, said[0]) if said[0] else gt
    known = set(getattr(ours, "__all__", ())) or set(dir(ours))
    return [n for n in public_names(module) if n in known]


def overview(compared: Collection[str], counts: dict[str, tuple[int, int]]) -> list[str]:
    """The lines of the page about all modules.

    Args:
        compared: the modules that are compared name by name.
        counts: how many names of these are there, and how many there are.
    """
    rows, listed = [], []
    total = found = 0
    for module in modules():
        if module in compared:
            have, names = counts[module]
            words = "name by name below"
        else:
            kept = there(module)
            have, names = len(kept), len(public_names(module))
            words = (place(module) or ("", "not there yet"))[1]
            if kept and module in ("keras", "ops", "applications"):
                lacks = [n for n in public_names(module) if n not in kept]
                listed += [f"`{module}`, there: {_code(kept)}.", ""]
                listed += [f"`{module}`, not there: {_code(lacks)}.", ""]
        total, found = total + names, found + have
        rows.append(f"| `{module}` | {have} of {names} | {words} |")
    return [
        "## Every public module", "",
        f"Keras has {len(rows)} public modules with {total:,} names, counted once for each module "
        f"that lists them; {found:,} are there under the same name.", "",
        "| module | names there | |", "|---|---|---|", *rows, "", *listed,
    ]  # fmt: skip


def _code(names: Collection[str]) -> str:
    return ", ".join(f"`{n}`" for n in names)
