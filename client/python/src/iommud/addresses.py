"""Where a function is, and numbers that go on the wire."""

from __future__ import annotations

import re

from .errors import invalid

_BDF = re.compile(r"(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])", re.IGNORECASE)


def pack_bdf(bdf: str) -> int:
    """`00:02.0` or `0000:00:02.0` as the contract has it: segment in bits 31:16, bus 15:8, device 7:3, function 2:0."""
    found = _BDF.fullmatch(bdf)
    if found is None or int(found[3], 16) > 31:
        raise invalid("function", f"{bdf!r} is no address of a function such as 00:02.0")
    return int(found[1] or "0", 16) << 16 | int(found[2], 16) << 8 | int(found[3], 16) << 3 | int(found[4])


def bdf_text(function: int) -> str:
    segment = f"{function >> 16:04x}:" if function >> 16 else ""
    return f"{segment}{function >> 8 & 0xff:02x}:{function >> 3 & 0x1f:02x}.{function & 7}"


def u32(value: int, field: str) -> int:
    if not 0 <= value < 1 << 32:
        raise invalid(field, f"{value} is not from 0 to 2^32 - 1")
    return value


def u64(value: int, field: str) -> int:
    if not 0 <= value < 1 << 64:
        raise invalid(field, f"{value} is not from 0 to 2^64 - 1")
    return value


def ns_of_ms(ms: float, field: str) -> int:
    if not 0 <= ms <= 2**53 / 1e6:
        raise invalid(field, f"{ms} is no time in milliseconds from 0 on")
    return round(ms * 1e6)
