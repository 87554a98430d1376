"""Compiled kernels on disk, as object code that LLVM links in a millisecond.

A file holds a checksum, the name of the kernel's symbol, those of the functions that it calls, and
the code. What a kernel depends on (its own code, all kernel sources, the compiler, the machine) is
digested into the file's name, so an outdated file is never found. A file that is damaged, or that
anybody else could have written, counts as absent (see `trust`); where there is no place for files
that costs a compilation in every process.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from ..config.writing import replacing
from .elf import holds
from .trust import distrusted, make_folder, read_trusted

_MAGIC = b"gradtape kernel 2\n"
_DIGEST = hashlib.sha256().digest_size
#: Generations of kernels (other sources, compilers, machines) that are kept.
KEPT = 8
#: Bytes of a file; the largest kernels have a hundredth of it.
_LARGEST = 4 << 20

#: Engines own the code of the kernels they link, so they live as long as the process.
_engines: list[Any] = []


@functools.cache
def _machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine()


@functools.cache
def generation(compiler: str) -> str:
    """A digest of all that every kernel depends on: sources, compiler, machine."""
    settings = ("GRADTAPE_VECTOR_BITS", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_OPT")
    facts = [
        compiler,
        llvmlite.__version__,
        sys.version,
        llvm.get_default_triple(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
        *(os.environ.get(name, "") for name in settings),
    ]
    digest = hashlib.sha256("\n".join(facts).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def identity(function: Any) -> str:
    """What a function computes, apart from what its module's names stand for.

    Its place, its code, and the same of everything it is a closure over.
    """
    function = getattr(function, "py_func", getattr(function, "_defn", function))
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function)
    held = [identity(cell.cell_contents) for cell in function.__closure__ or ()]
    facts = (code.co_consts, code.co_names, code.co_code.hex())
    return f"{function.__module__}.{function.__qualname__} {facts} {held}"


def _trusted(compiler: str) -> list[Path]:
    """The folders of this generation that nobody else can write to, the best first."""
    places = [Path(os.path.realpath(f / generation(compiler))) for f in _folders()]
    reasons = {place: distrusted(place) for place in places}
    found = [place for place, why in reasons.items() if why is None]
    if not found:
        _say_once("; ".join(filter(None, reasons.values())))
    return found


@functools.cache
def _say_once(why: str) -> None:
    warnings.warn(
        f"gradtape keeps no compiled kernels, so it compiles them in every process: {why}.",
        stacklevel=2,
    )


def _folders() -> list[Path]:
    """Where files may be, the best place first: Numba's rules, with a folder of our own."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(chosen) / "gradtape"]
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [Path(__file__).parent / "__pycache__" / "native", base / "gradtape" / "native"]


def load(key: str, compiler: str) -> int | None:
    """The address of a kernel that was saved under this key, or None."""
    for folder in _trusted(compiler):
        content = read_trusted(folder / key, _LARGEST)
        if content is None:
            continue
        found = _checked(content)
        if found is None:
            continue
        symbol, called, code = found
        if all([llvm.address_of_symbol(name) for name in called]):  # LLVM would end the process
            return _link(symbol, code) or None
    return None


def save(key: str, compiler: str, symbol: str, called: list[str], code: bytes) -> bool:
    """Keep object code for other processes; returns whether there was a place to write to.

    Args:
        key: the name of its file.
        compiler: what made it.
        symbol: the kernel's.
        called: functions that have to be in a process before the code is linked.
        code: an object file.
    """
    body = b"\n".join([symbol.encode(), " ".join(called).encode(), code])
    content = _MAGIC + hashlib.sha256(body).digest() + body
    for folder in _trusted(compiler):
        with contextlib.suppress(OSError):
            _write(folder, key, content)
            return True
    return False


def _checked(content: bytes) -> tuple[str, list[str], bytes] | None:
    """Symbol, functions called and code of a file; None if it is not what `save` wrote."""
    start = len(_MAGIC) + _DIGEST
    body = content[start:]
    if content[:start] != _MAGIC + hashlib.sha256(body).digest():
        return None
    try:
        name, names, code = body.split(b"\n", 2)
        symbol, called = name.decode(), names.decode().split()
    except ValueError:
        return None
    return (symbol, called, code) if holds(code, symbol, called) else None


def _link(symbol: str, code: bytes) -> int:
    # An engine for each: symbols of kernels from different processes may be the same.
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(symbol))


def _write(folder: Path, key: str, content: bytes) -> None:
    """Write a file as a whole or not at all, for this user alone."""
    if not folder.is_dir():
        make_folder(folder)
        _drop_old(folder.parent)
    (folder / key).unlink(missing_ok=True)  # or its permissions would be taken over
    with replacing(folder / key, 0o600) as file:
        file.write(content)


def _drop_old(folder: Path) -> None:
    """Forget the generations of kernels that were not made lately."""
    found = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in found[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
