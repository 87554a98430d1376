"""The house's rules: who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
import functools
import gc
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import gradtape as gt

ROOT = Path(__file__).parents[1]
FOLDERS = ("framework", "models", "datasets", "tests", "tutorials", "benchmarks")
SOURCES = sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))
MAX_LINES = 500

#: Rooms from the ground up: a file imports from its own room and from those below that are named.
ROOMS: dict[str, str] = {
    "left_out": "",
    "errors": "left_out",
    "random": "",
    "samples": "",
    "config": "errors left_out",
    "kernels": "config errors",
    "autograd": "config errors random samples",
    "ops": "autograd config errors kernels samples",
    "proof": "autograd config errors ops samples",
    "program": "autograd config errors kernels ops",
    "initializers": "autograd config errors ops random",
    "activations": "autograd config errors ops",
    "constraints": "autograd config errors ops",
    "regularizers": "autograd config errors ops",
    "losses": "autograd config errors ops",
    "metrics": "autograd config errors initializers losses ops",
    "optimizers": "autograd config constraints errors ops",
    "data": "autograd config errors random",
    "layers": "activations autograd config constraints data errors initializers losses metrics "
    "ops random regularizers",
    "saving": "autograd config errors layers",
    "callbacks": "autograd config errors layers metrics random saving",
    "training": "autograd callbacks config data errors layers losses metrics optimizers program",
    "inspection": "autograd config errors layers optimizers",
    "model": "autograd config errors inspection layers saving training",
    "plot": "autograd callbacks config errors inspection layers model ops",
    "utils": "autograd config data errors model plot random saving",
}
#: The front of the house, which sees all of it.
FRONT = ("__init__", "__main__", "cli")
#: Files beside the rooms, at most.
LOOSE = 12
#: Uses of a name with an underscore that another room made. It may only fall.
PRIVATE = 70

#: What each room imports from other distributions. Everyone may use numpy and the standard library.
THIRD_PARTY = {
    "kernels": {"numba", "llvmlite"},  # which is a part of numba in all but name
    "program": {"numba"},
    "plot": {"matplotlib", "PIL"},
    "utils": {"matplotlib", "PIL", "tqdm"},
    "callbacks": {"tqdm"},  # where a person waits
    "cli": {"matplotlib", "PIL", "tqdm"},
}


def room_of(module: str) -> str:
    """The room of a dotted module name, relative to ``gradtape``."""
    head = module.partition(".")[0]
    return head if head in ROOMS else ""


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
    """Imports inside functions count as well: a room that is entered late is entered."""
    wrong = []
    for path in FRAMEWORK:
        room = room_of(module_of(path))
        for name, line, runs in imports(path):
            package, _, rest = name.partition(".")
            if package != "gradtape" or not runs or not room:
                continue
            other = room_of(rest)
            if other not in (room, *ROOMS[room].split()):
                wrong.append(f"{_name(path)}:{line}: {room} may not import {name}")
    assert not wrong, "\n".join(wrong)


def test_rooms_stand_on_rooms_below() -> None:
    built: set[str] = set()
    for room, below in ROOMS.items():
        assert set(below.split()) <= built, room
        built.add(room)
    folders = {module_of(p).partition(".")[0] for p in FRAMEWORK} - {"models", "datasets"}
    assert folders == built | set(FRONT)


def test_programs_know_no_layer_loss_metric_or_optimizer_by_name() -> None:
    nouns = {
        name
        for room in (gt.layers, gt.losses, gt.metrics, gt.optimizers)
        for name in room.__all__
        if name[0].isupper()
    }
    found = [
        f"{_name(path)}:{node.lineno}: {node.value}"
        for path in FRAMEWORK
        if room_of(module_of(path)) == "program"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in nouns
    ]
    assert not found, "\n".join(found)


def test_the_page_shows_the_rooms_as_they_are() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    page = page.partition("## The way")[0]
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    shown = {row[0].strip("|` /").removesuffix(".py"): row[2].strip(" |") for row in rows[:-1]}
    assert shown == {r: ", ".join(b.split()) or "nothing" for r, b in ROOMS.items()}
    assert list(shown) == list(ROOMS)


def test_a_batch_goes_the_way_that_the_page_shows() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line.split("`") for line in page.partition("## The way")[2].splitlines()]
    way = [(row[1], row[3]) for row in rows if len(row) > 3 and row[0] == "| "]
    assert len(way) > 10
    model = gt.Sequential([gt.Input((4,)), gt.layers.Dense(2, activation="relu")])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 4), np.float32), np.ones((8, 2), np.float32)
    model.fit(x, y, verbose=0)  # compiles
    entered: list[tuple[str, str]] = []
    front = Path(gt.__file__).parent

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(front):
            entered.append((path.relative_to(front).as_posix(), frame.f_code.co_name))

    sys.setprofile(watch)
    try:
        model.fit(x, y, verbose=0)
    finally:
        sys.setprofile(None)
    steps = iter(entered)
    missing = [step for step in way if step not in steps]  # each is looked for after the last
    assert not missing, missing


def test_the_order_to_read_in_names_files_and_their_lengths() -> None:
    page = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    for file, lines, _ in rows:
        text = (ROOT / "framework" / file.strip("|` ")).read_text(encoding="utf-8")
        assert abs(len(text.splitlines()) - int(lines)) <= 20 + int(lines) / 5, file


def test_few_files_lie_beside_the_rooms() -> None:
    assert len(list((ROOT / "framework").glob("*.py"))) <= LOOSE


def _private_names(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Names with an underscore, where they stand, and whether they are made there."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found = [(node.name, True)]
        elif isinstance(node, ast.Attribute):
            found = [(node.attr, isinstance(node.ctx, ast.Store))]
        elif isinstance(node, ast.Name):
            found = [(node.id, isinstance(node.ctx, ast.Store))]
        elif isinstance(node, ast.ImportFrom):
            found = [(alias.name, False) for alias in node.names]
        else:
            continue
        for name, made in found:
            if name.startswith("_") and not name.startswith("__"):
                yield name, getattr(node, "lineno", 0), made


def test_rooms_use_fewer_and_fewer_private_names_of_others() -> None:
    makers: dict[str, set[str]] = {}
    for path in FRAMEWORK:
        for name, _, made in _private_names(path):
            if made:
                makers.setdefault(name, set()).add(room_of(module_of(path)))
    uses = [
        f"{_name(path)}:{line}: {name} of {', '.join(sorted(makers[name]))}"
        for path in FRAMEWORK
        for name, line, made in _private_names(path)
        if not made and name in makers and room_of(module_of(path)) not in makers[name]
    ]
    assert len(uses) <= PRIVATE, "\n".join(uses)


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
        used = {
            name if name in known else name.rpartition(".")[0]
            for name in (
                name.partition(".")[2]
                for name, _, runs in imports(path)
                if runs and name.startswith("gradtape.")
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
        "if TYPE_CHECKING:\n    from ..errors import FileError\n"
    )
    found = imports(ROOT / "framework" / "ops" / "made_up.py", source)
    assert {(name, runs) for name, _, runs in found} == {
        ("gradtape.layers.Dense", True),
        ("gradtape.losses", True),
        ("gradtape.ops.conv", True),
        ("scipy.signal", True),
        ("gradtape.errors", False),
    }
