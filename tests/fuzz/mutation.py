"""Ways to change bytes, trees of JSON, arrays and zips, as damage does and as attackers do."""

from __future__ import annotations

import copy
import functools
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Random = random.Random
HUGE = (2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 10**9, 10**12, 10**18, 10**40, 65_535, 1 << 20)
NUMBERS = (0, -1, 1, 2, 3, 0.5, -0.0, 1e308, -1e308, 1e-320, *HUGE, *(-n for n in HUGE))
#: Names that mean something elsewhere: to the shell, to Python, to other loaders of models.
WORDS = (
    "", " ", "a" * 300, "../../../../etc/passwd", "/etc/passwd", "..\\..\\x", "file:///etc/passwd",
    "http://127.0.0.1:9/x", "\\\\host\\share", "x\0y", "\ud800", "é" * 40, "%s%n", "{0.__class__}",
    "{self.__init__.__globals__}", "__import__('os').system('true')", "os.system", "os>system",
    "builtins>eval", "builtins.exec", "posix.system", "subprocess.Popen", "pickle.loads",
    "numpy.load", "lambda x: x", "__lambda__", "__class__", "__reduce__", "__init__", "__dict__",
    "object", "U200000000", "S1000000000", "V99999999", "complex128", "float16", "float128",
    "datetime64[ns]", "M8[ns]", "i4,i4", "(1000000000,)f4", "O", ">f8", "<f4", "int8", "bool",
    "None", "nan", "Infinity", "true", "layers>Lambda", "layers>Operation", "layers>Dense",
    "models>Sequential", "models>Functional", "metrics>AUC", "metrics>MeanIoU", "gradtape.models>X",
    "optimizers>Adam", "losses>MeanSquaredError", "Custom>x", ">", ">>", "a>b>c", "relu", "tile",
    "repeat", "pad", "one_hot", "broadcast_to", "reshape", "matmul", "einsum", "upsample",
)  # fmt: skip


def scalar(rng: Random) -> Any:
    """Any plain value."""
    return rng.choice(
        (
            lambda: rng.choice(NUMBERS),
            lambda: rng.choice(WORDS),
            lambda: rng.choice((None, True, False, float("nan"), float("inf"), -float("inf"))),
            lambda: rng.choice(([], {}, [None], [[]], {"": {}}, [1] * 1000, [[1, 2], [3, 4]])),
            lambda: {"class_name": rng.choice(WORDS), "config": {}},
            lambda: {"array": [1.0], "shape": [rng.choice(NUMBERS)], "dtype": rng.choice(WORDS)},
            lambda: {"tensor": [rng.choice(NUMBERS), rng.choice(NUMBERS)]},
            lambda: {rng.choice(("tuple", "dict", "slice", "dtype", "kept")): rng.choice(WORDS)},
            lambda: {
                "class_name": "__lambda__",
                "config": {"code": "4wAAAAAAAAAA", "defaults": None, "closure": None},
            },
            lambda: {
                "module": "os", "class_name": "system", "registered_name": None,
                "config": {"command": "true"},
            },
        )
    )()  # fmt: skip


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            found += [(node, key) for key in node]
            pending += node.values()
        elif isinstance(node, list):
            found += [(node, i) for i in range(len(node))]
            pending += node
    return found


def mutated_tree(rng: Random, tree: Any) -> Any:
    """A tree of JSON with one to four changes."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = _places(tree)
        if not places:
            return scalar(rng)
        node, key = rng.choice(places)
        kind = rng.randrange(12)
        if kind < 5:
            node[key] = scalar(rng)
        elif kind == 5 and isinstance(node[key], (int, float)):
            node[key] = rng.choice((node[key] + 1, -node[key], node[key] * 10**6, str(node[key])))
        elif kind == 6:
            del node[key]
        elif kind == 7:
            other, at = rng.choice(places)
            node[key] = copy.deepcopy(other[at])
        elif kind == 8 and isinstance(node, dict):
            node[rng.choice((*WORDS[:60], "module", "code", "fn", "function", "path"))] = scalar(
                rng
            )
        elif kind == 9 and isinstance(node, list):
            node.extend(copy.deepcopy(node[key]) for _ in range(rng.choice((1, 3, 100, 3000))))
        elif kind == 10:
            for _ in range(rng.choice((2, 30, 90, 150))):
                node[key] = rng.choice(([node[key]], {"config": node[key]}))
            return tree  # deeper than this could not be copied again
        elif kind == 11 and isinstance(node[key], dict) and "config" in node[key]:
            for _ in range(rng.choice((2, 20, 100))):
                inner = {"name": "m", "trainable": True, "layers": [node[key]]}
                inner["build_input_shape"] = None
                node[key] = {"class_name": "models>Sequential", "config": inner}
            return tree
    return tree


def text_of(rng: Random, tree: Any) -> bytes:
    """A tree as JSON, now and then damaged as text."""
    try:
        text = json.dumps(tree).encode("utf-8", "surrogatepass")
    except (RecursionError, ValueError):
        text = b"[" * 5000
    kind = rng.randrange(40)
    if kind == 0:
        return changed_bytes(rng, text)
    if kind == 1:
        return text + rng.choice((b"{}", b"\0", b"//", b" " * 100_000))
    if kind == 2:
        return rng.choice((b"[" * 200_000, b'{"a":' * 50_000, b"[]" * 10, b"9" * 100_000))
    if kind == 3:
        return text.replace(b":", rng.choice((b": NaN,", b":1e999999,", b"::", b":-")), 1)
    if kind == 4:
        return b"[" + rng.choice((b"[],", b'{"a":{}},', b"1,", b'"ab",')) * 300_000 + text + b"]"
    return text


def changed_bytes(rng: Random, data: bytes) -> bytes:
    """Damage: bits, bytes and runs changed, left out, doubled or exchanged."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        if not out:
            return bytes(rng.randrange(256) for _ in range(rng.randrange(64)))
        at = rng.randrange(len(out))
        run = min(rng.choice((1, 2, 4, 8, 64, 4096)), len(out) - at)
        kind = rng.randrange(9)
        if kind < 3:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            out[at : at + run] = rng.randbytes(run)
        elif kind == 4:
            del out[at : at + run]
        elif kind == 5:
            out[at:at] = out[at : at + run] * rng.choice((1, 2, 16))
        elif kind == 6:
            del out[rng.choice((at, len(out) - run)) :]
        elif kind == 7:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice((0, 1, 2 ** (8 * width) - 1, 2 ** (8 * width - 1)))
            out[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))
        else:
            out[at : at + run] = bytes(run)
    return bytes(out)


# Arrays as .npy


def npy(array: np.ndarray, **header: Any) -> bytes:
    """An array as NumPy writes it, with other things in its header."""
    stream = io.BytesIO()
    array = np.asarray(array)
    honest = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(stream, {**honest, **header})
    return stream.getvalue() + array.tobytes()


class Trap:
    """Tells on whoever unpickles it."""

    def __reduce__(self) -> Any:
        import os

        return os.mkdir, ("/tmp/gradtape-fuzz-trap",)


def mutated_npy(rng: Random, data: bytes) -> bytes:
    """An array whose header lies, whose kind is another, or whose bytes are damaged."""
    array = np.load(io.BytesIO(data))
    kind = rng.randrange(12)
    if kind < 4:
        shape = list(array.shape) or [1]
        shape[rng.randrange(len(shape))] = rng.choice((*HUGE, 0, -1, 1))
        return npy(array, shape=tuple(rng.choice((shape, shape[::-1], [*shape, 1], shape[1:]))))
    if kind < 6:
        words = ("|O", "<U200000000", "<c16", "<f2", ">f8", "<i8", "|b1", "|V8", "<M8[ns]", "<f16")
        return npy(array, descr=rng.choice(words))
    if kind == 6:
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.array([Trap()]), allow_pickle=True)
        return stream.getvalue()
    if kind == 7:
        head = rng.choice((b"(" * 9000, b"__import__('os')", b"{'descr': '<f4'}", b" " * 60_000))
        return b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head
    if kind == 8:
        return b"\x93NUMPY\x02\0" + rng.choice((2**31, 2**32 - 1, 10)).to_bytes(4, "little") + data
    if kind == 9:
        return npy(
            rng.choice((array.astype(">f4"), array.astype("f8"), np.zeros(3), array[..., None]))
        )
    if kind == 10:
        return npy(
            np.full_like(
                array, rng.choice((np.nan, np.inf, 3e38)) if array.dtype.kind == "f" else 1
            )
        )
    return changed_bytes(rng, data)


# Zips


@dataclass(frozen=True)
class Member:
    """A member of a zip, with whatever its headers claim."""

    name: bytes
    data: bytes
    method: int = 0
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    packed: int | None = None
    offset: int | None = None
    extra: bytes = b""

    def fields(self) -> tuple[int, ...]:
        """From the flags on to the sizes, as both headers have them."""
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        size = len(self.data) if self.size is None else self.size
        packed = len(self.data) if self.packed is None else self.packed
        limit = 2**32 - 1
        return self.flags, self.method, 0, 33, crc & limit, packed & limit, size & limit


def zipped(members: list[Member], comment: bytes = b"", count: int | None = None) -> bytes:
    """A zip with these members, whether they make sense or not."""
    out, table = bytearray(), bytearray()
    for member in members:
        offset = len(out) if member.offset is None else member.offset
        out += struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, *member.fields(), len(member.name), 0)
        out += member.name + member.data
        table += struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, *member.fields(), len(member.name),
            len(member.extra), 0, 0, 0, 0, offset & (2**32 - 1),
        )  # fmt: skip
        table += member.name + member.extra
    number = min(len(members) if count is None else count, 65_535)
    end = struct.pack(
        "<4sHHHHIIH", b"PK\5\6", 0, 0, number, number, len(table), len(out), len(comment)
    )
    return bytes(out + table + end + comment)


def members_of(data: bytes) -> list[Member]:
    """The members of an honest zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return [Member(name.encode(), file.read(name)) for name in file.namelist()]


#: Names of members that mean something to who extracts them.
NAMES = (
    b"../../x.npy", b"/tmp/x.npy", b"config.json", b"x" * 60_000, b"", b"a\0b.npy", b"\xff.npy",
    b"C:\\x.npy", b"variables/../config.json",
)  # fmt: skip


@functools.cache
def _bomb(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)[2:-4]


def mutated_zip(
    rng: Random, members: list[Member], inner: Callable[[Random, Member], bytes]
) -> bytes:
    """A zip with a changed member, a lie in a header, or a structure that is an attack."""
    members = list(members)
    at = rng.randrange(len(members))
    one = members[at]
    kind = rng.randrange(20)
    if kind < 9:
        members[at] = replace(one, data=inner(rng, one))
    elif kind == 9:
        members[at] = replace(one, name=rng.choice((*NAMES, one.name.upper())))
    elif kind == 10:
        lie = rng.choice((0, 1, 2**31, 2**32 - 1, len(one.data) + 1, len(one.data) - 1))
        members[at] = replace(one, **{rng.choice(("size", "packed", "crc", "offset")): lie})  # type: ignore[arg-type]
    elif kind == 11:
        bomb = _bomb(rng.choice((10**6, 10**8)))
        members[at] = replace(one, data=bomb, method=8, size=10**9)
    elif kind == 12:
        members[at] = replace(one, flags=rng.choice((1, 8, 0x40, 0x800, 0xFFFF)))
    elif kind == 13:
        members[at] = replace(one, method=rng.choice((1, 8, 9, 12, 14, 93, 99, 65_535)))
    elif kind == 14:
        many = min(70_000, (64 << 20) // (len(one.data) + 1)) if rng.random() < 0.01 else 3
        members += [one] * rng.choice((1, 2, many))
    elif kind == 15:
        many = 60_000 if rng.random() < 0.02 else 300
        members += [Member(b"%d.npy" % i, b"", offset=0, size=5, packed=5) for i in range(many)]
    elif kind == 16:
        extra = struct.pack("<HHQQQ", 1, 24, 2**62, 2**62, rng.choice((0, 2**62)))
        members[at] = replace(
            one, size=-1, packed=-1, extra=rng.choice((extra, extra[:10], b"\1\0"))
        )
    elif kind == 17:
        del members[at]
    elif kind == 18:
        return zipped(members, comment=rng.randbytes(rng.choice((1, 300, 65_535))))
    else:
        rng.shuffle(members)
        return zipped(members, count=rng.choice((0, 1, 65_535, None)))
    return zipped(members)
