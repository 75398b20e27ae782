# Made from aio/bus.py by tools/make_blocking.py. Do not edit.
"""Accesses of a processor by address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..addresses import pack_bdf, u32, u64
from ..core.operation import operation
from ..errors import invalid
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import BUS_SPACE, BusSpace

if TYPE_CHECKING:
    from .connection import Connection

_WORD = 4
_REGISTERS = 4096


class Bus:
    """As a root complex routes them: RAM, ECAM, BARs that decode now behind bridge windows as they stand, I/O ports. Where nobody answers a read is all ones
    and a write is dropped."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, address: int, size: int = _WORD, *, space: BusSpace = "memory") -> int:
        """1, 2, 4 or, in memory, 8 bytes at an address that is a multiple of them. Errors: EINVAL (width, alignment, no such address), EIO (the owner of the
        memory failed)."""
        request = m.BusRead(space=BUS_SPACE.number_of(space, "space"), address=u64(address, "address"), bytes=u32(size, "bytes"))
        return self._connection.ask(
            operation(b.BUS_READ, request, m.BusReadReply, lambda reply: reply.value, f"a read of {space} at {address:#x}")
        )

    def write(self, address: int, value: int, size: int = _WORD, *, space: BusSpace = "memory") -> None:
        """Bits of the value beyond the width are ignored. Errors as `read`."""
        request = m.BusWrite(
            space=BUS_SPACE.number_of(space, "space"),
            address=u64(address, "address"),
            bytes=u32(size, "bytes"),
            value=value & (1 << 64) - 1,
        )
        what = f"a write of {space} at {address:#x}"
        self._connection.ask(operation(b.BUS_WRITE, request, m.BusWriteReply, lambda _: None, what))

    def config(self, at: str) -> BusConfig:
        """Configuration space of whatever is at `01:00.0` or `0000:01:00.0` by the bus numbers that bridges have now. `Machine.function` takes a name instead,
        which stays as at power-up."""
        return BusConfig(self, at)


class BusConfig:
    """Configuration space at an address. Offsets are multiples of the width: 1, 2 or 4."""

    def __init__(self, bus: Bus, at: str) -> None:
        self._bus = bus
        self._at = at

    def read(self, offset: int, size: int = _WORD) -> int:
        """Errors: EINVAL."""
        return self._bus.read(config_address(self._at, offset), size, space="config")

    def write(self, offset: int, value: int, size: int = _WORD) -> None:
        """Errors: EINVAL."""
        self._bus.write(config_address(self._at, offset), value, size, space="config")


def config_address(at: str, offset: int = 0) -> int:
    """The address of a register in space `config`; without the segment it is the offset in that segment's ECAM."""
    if not 0 <= offset < _REGISTERS:
        raise invalid("offset", f"{offset} is no offset in configuration space")
    return pack_bdf(at) * _REGISTERS + offset
