"""The house's rules: who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
import functools
import gc
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("framework", "models", "datasets", "tests", "tutorials", "benchmarks")
SOURCES = sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))
MAX_LINES = 500

#: Rooms from the ground up. A file imports from its own room and those it may enter.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "kernels": {"errors"},
    "tensor": {"errors"},
    "ops": {"errors", "tensor", "kernels"},
    "gradcheck": {"errors", "tensor", "ops"},
    "program": {"errors", "tensor", "kernels", "ops"},
    "nouns": {"errors", "tensor", "ops"},
    "model": {"errors", "tensor", "ops", "nouns", "program", "gradcheck"},
    "front": {"errors", "tensor", "ops", "nouns", "program", "gradcheck", "model", "public"},
}

TENSOR = (
    "tensor", "tape", "registry", "samples", "backward", "anomaly", "functional", "checkpoint",
    "tree", "random", "naming", "operators", "promotion", "numpy_protocol", "precision",
)  # fmt: skip
MODEL = (
    "model", "sequential", "training", "steps", "repeating", "saving", "summary", "analysis",
    "cloning",
)  # fmt: skip
FRONT = ("__init__", "__main__", "cli", "plot", "utils")

#: The room of each file or folder of framework/; the rest are nouns of the Keras-like vocabulary.
PLACES = {
    **dict.fromkeys(
        ("allowance", "exports", "interrupts", "left_out", "reading", "writing"), "errors"
    ),
    **{name: name for name in ("errors", "kernels", "ops", "gradcheck", "program")},
    **dict.fromkeys(("checked", "tracebacks"), "errors"),
    **dict.fromkeys(("differences", "diagnosis", "proof", "mutants"), "gradcheck"),
    **dict.fromkeys(TENSOR, "tensor"),
    **dict.fromkeys(MODEL, "model"),
    **dict.fromkeys(FRONT, "front"),
}

#: What each room imports from other distributions. Everyone may use numpy and the standard library.
THIRD_PARTY = {
    "kernels": {"numba", "llvmlite"},  # which is a part of numba in all but name
    "program": {"numba"},
    "front": {"matplotlib", "PIL"},
}
PROGRESS_BAR = {"tqdm"}  # where a person waits: training and downloads


def room_of(module: str) -> str:
    """The room of a dotted module name, relative to ``gradtape``."""
    head = module.partition(".")[0]
    return "public" if head in ("models", "datasets", "") else PLACES.get(head, "nouns")


def module_of(path: Path) -> str:
    """The dotted name of a file of framework/, relative to ``gradtape``."""
    parts = path.relative_to(ROOT / "framework").with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


@pytest.fixture(scope="module", autouse=True)
def _forgotten() -> Iterator[None]:
    """Millions of nodes: no garbage is looked for among them, here or in the tests after these."""
    gc.disable()
    yield
    parsed.cache_clear()
    gc.enable()


@functools.cache  # every rule asks for it, and for the imports
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@functools.cache
def imports(path: Path, source: str | None = None) -> list[tuple[str, int, bool]]:
    """Every import of a file, at any depth: dotted name, line, and whether it runs at run time.

    Relative imports come out as ``gradtape.name``.
    """
    return list(_imports(path, source))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below a node; what is an import is no part of an expression."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        below = getattr(node, field, ())
        for child in below if isinstance(below, list) else ():
            yield child
            yield from statements(child)


def _imports(path: Path, source: str | None) -> Iterator[tuple[str, int, bool]]:
    tree = parsed(path) if source is None else ast.parse(source)
    found = list(statements(tree))
    only_for_types = {
        id(node)
        for branch in found
        if isinstance(branch, ast.If) and ast.unparse(branch.test).endswith("TYPE_CHECKING")
        for child in branch.body
        for node in (child, *statements(child))
    }
    for node in found:
        runs = id(node) not in only_for_types
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, runs
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = _absolute(path, node.level, base)
            if node.module and not (node.level and _is_package(base)):
                yield base, node.lineno, runs
            else:
                for alias in node.names:
                    yield f"{base}.{alias.name}", node.lineno, runs


def _absolute(path: Path, level: int, base: str) -> str:
    """What ``from ..base`` names in a file of this project, below ``gradtape``."""
    top = path.relative_to(ROOT).parts
    package = ["gradtape", *([] if top[0] == "framework" else top[:1]), *top[1:-1]]
    return ".".join([*package[: len(package) - level + 1], *([base] if base else [])])


def _is_package(dotted: str) -> bool:
    parts = dotted.split(".")[1:]
    return (ROOT / "framework").joinpath(*parts).is_dir()


FRAMEWORK = [p for p in SOURCES if p.is_relative_to(ROOT / "framework")]
OUTSIDE = [p for p in SOURCES if p not in FRAMEWORK]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_framework_imports_only_from_rooms_below() -> None:
    wrong = []
    for path in FRAMEWORK:
        room = room_of(module_of(path))
        for name, line, runs in imports(path):
            package, _, rest = name.partition(".")
            if package != "gradtape" or not runs:
                continue
            other = room_of(rest)
            if other != room and other not in ROOMS[room]:
                wrong.append(f"{_name(path)}:{line}: {room} may not import {name} ({other})")
    assert not wrong, "\n".join(wrong)


def test_framework_imports_itself_relatively() -> None:
    absolute = [
        f"{_name(path)}:{node.lineno}: import gradtape relatively"
        for path in FRAMEWORK
        for node in statements(parsed(path))
        if (isinstance(node, ast.Import) and any(a.name.startswith("gradtape") for a in node.names))
        or (
            isinstance(node, ast.ImportFrom)
            and node.level == 0
            and (node.module or "").startswith("gradtape")
        )
    ]
    assert not absolute, "\n".join(absolute)


def test_framework_needs_only_what_its_room_may_use() -> None:
    wrong = []
    for path in FRAMEWORK:
        room = room_of(module_of(path))
        allowed = {"numpy", "gradtape"} | THIRD_PARTY.get(room, set())
        if room in ("nouns", "model"):
            allowed |= PROGRESS_BAR
        packages = {name.partition(".")[0] for name, _, runs in imports(path) if runs}
        if more := packages - set(sys.stdlib_module_names) - allowed:
            wrong.append(f"{_name(path)}: {room} may not need {sorted(more)}")
    assert not wrong, "\n".join(wrong)


def test_other_folders_use_gradtape_as_a_user_would() -> None:
    """No private module or name of the framework: what is needed there is public."""
    private = []
    for path in OUTSIDE:
        own = path.relative_to(ROOT).parts[0]
        if own == "tests":  # a test may open the room it mirrors
            own = path.stem.split("_")[1] if "_" in path.stem else own
        private += [
            f"{_name(path)}:{line}: {name}"
            for name, line, _ in imports(path)
            if name.startswith("gradtape.")
            and not name.startswith(f"gradtape.{own}.")
            and any(part.startswith("_") and part != "__main__" for part in name.split("."))
        ]
    assert not private, "\n".join(private)


def test_nothing_is_imported_under_its_folder_name() -> None:
    """`framework`, `models` and `datasets` belong to others on a user's machine."""
    wrong = [
        f"{_name(path)}:{line}: {name}"
        for path in SOURCES
        for name, line, _ in imports(path)
        if name.partition(".")[0] in ("framework", "models", "datasets")
    ]
    assert not wrong, "\n".join(wrong)


def test_files_are_one_room_each() -> None:
    lines = {_name(path): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    long = {name: count for name, count in lines.items() if count > MAX_LINES}
    assert not long, f"two rooms? {long}"


def test_modules_do_not_import_in_circles() -> None:
    known = {module_of(p) for p in FRAMEWORK}
    graph: dict[str, set[str]] = {}
    for path in FRAMEWORK:
        top_level = {n.lineno for n in parsed(path).body}
        used = {
            name if name in known else name.rpartition(".")[0]
            for name in (
                name.partition(".")[2]
                for name, line, runs in imports(path)
                if runs and line in top_level and name.startswith("gradtape.")
            )
        }
        graph[module_of(path)] = used & known - {module_of(path)}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_rules_see_every_kind_of_import() -> None:
    source = (
        "from ..layers import Dense\nfrom .. import losses\nfrom . import conv\n"
        "def f():\n    import scipy.signal\n"
        "if TYPE_CHECKING:\n    from ..model import Model\n"
    )
    found = imports(ROOT / "framework" / "ops" / "made_up.py", source)
    assert {(name, runs) for name, _, runs in found} == {
        ("gradtape.layers.Dense", True),
        ("gradtape.losses", True),
        ("gradtape.ops.conv", True),
        ("scipy.signal", True),
        ("gradtape.model", False),
    }
