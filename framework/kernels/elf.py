"""What an object file says of itself, as far as the linker would end the process if it lied."""

from __future__ import annotations

import platform
import struct

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_MACHINES = {"x86_64": 62, "amd64": 62, "aarch64": 183, "arm64": 183}
_RELOCATABLE, _SYMBOLS, _NO_BITS = 1, 2, 8
_LOCAL = 0
#: Object files of other systems: Mach-O and COFF are known by their first bytes alone.
_OTHERS = (b"\xcf\xfa\xed\xfe", b"\x64\x86", b"\x64\xaa")


def holds(code: bytes, symbol: str, called: list[str]) -> bool:
    """Whether `code` is an object file for this machine that defines a symbol.

    Args:
        symbol: the function that is to be called.
        called: every name that it may leave to others; the linker ends the process over a name
            that nobody has.
    """
    if code[:4] != b"\x7fELF":
        return code.startswith(_OTHERS)
    try:
        defined, missing = _names(code)
    except (struct.error, ValueError):
        return False
    return symbol.encode() in defined and missing <= {name.encode() for name in called}


def _names(code: bytes) -> tuple[set[bytes], set[bytes]]:
    """The names that an object file defines for others, and those it needs.

    Raises:
        ValueError, struct.error: it is none for this machine, or a part of it is missing.
    """
    identity, kind, machine, _, _, _, start, _, _, _, _, size, count, _ = _HEADER.unpack_from(code)
    if identity[4:6] != b"\x02\x01" or kind != _RELOCATABLE or size != _SECTION.size:
        raise ValueError("no relocatable file of 64 bits")
    if start > len(code):  # more than an offset can be, perhaps
        raise ValueError("its sections begin after the file")
    if machine != _MACHINES.get(platform.machine().lower()):
        raise ValueError("for another machine")
    sections = [_SECTION.unpack_from(code, start + i * size) for i in range(count)]
    parts = [code[s[4] : s[4] + s[5]] for s in sections]
    if any(s[1] != _NO_BITS and len(p) != s[5] for s, p in zip(sections, parts, strict=True)):
        raise ValueError("a section ends after the file")
    defined: set[bytes] = set()
    missing: set[bytes] = set()
    for section, table in zip(sections, parts, strict=True):
        if section[1] != _SYMBOLS:
            continue
        if section[6] >= count:
            raise ValueError("names are nowhere")
        names = parts[section[6]]
        for at, info, _, where, _, _ in _SYMBOL.iter_unpack(table):
            name = names[at : names.index(b"\0", at)]
            if where == 0:
                missing |= {name} - {b""}
            elif info >> 4 != _LOCAL:
                defined.add(name)
    return defined, missing
