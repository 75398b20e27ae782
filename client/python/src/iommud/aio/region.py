"""Registers of a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable

from ..addresses import bdf_text, u32, u64
from ..core import operations as ops
from ..core.operation import operation, with_data
from ..errors import invalid
from ..gen import bodies as b
from ..gen import messages as m

if TYPE_CHECKING:
    from .connection import Connection

_WORD = 4


class Region:
    """A function's registers in one region. Little-endian; an offset is a multiple of the width."""

    def __init__(self, connection: Connection, function: int, region: int) -> None:
        self._connection = connection
        self._function = function
        self._region = region
        name = {ops.CONFIG: "configuration space", ops.ROM: "its ROM"}.get(region, f"BAR {region}")
        self._what = f"an access to {name} of {bdf_text(function)}"

    async def read(self, offset: int, size: int = _WORD) -> int:
        """A register of 1, 2, 4 or (in a BAR) 8 bytes. Errors: ENODEV, EINVAL (width, alignment, beyond the region)."""
        return await self._connection.ask(ops.region_read(self._function, self._region, offset, size, self._what))

    async def write(self, offset: int, value: int, size: int = _WORD) -> None:
        """Bits of the value beyond the width are ignored. Errors as `read`."""
        await self._connection.ask(ops.region_write(self._function, self._region, offset, value, size, self._what))

    def post_write(self, offset: int, value: int, size: int = _WORD) -> None:
        """The same, and nobody learns what became of it."""
        self._connection.post(ops.region_write(self._function, self._region, offset, value, size, self._what))

    async def read_many(self, offsets: Iterable[int], size: int = _WORD) -> list[int]:
        """Registers of one width, asked for at once. Errors as `read`."""
        function, region, what = self._function, self._region, self._what
        return await self._connection.ask_all([ops.region_read(function, region, offset, size, what) for offset in offsets])

    async def write_many(self, writes: Iterable[tuple[int, int]], size: int = _WORD) -> None:
        """Pairs of an offset and a value, 1 to 1024 of them, written in order by one call. Errors as `read`, and nothing was written; what an emulator
        answers to one of them is the answer to all."""
        items = [
            m.RegionWriteItem(region=self._region, offset=u64(at, "offset"), bytes=size, value=value & (1 << 8 * size) - 1)
            for at, value in writes
        ]
        request = m.RegionWriteMulti(function=self._function, writes=items)
        await self._connection.ask(operation(b.REGION_WRITE_MULTI, request, m.RegionWriteMultiReply, lambda _: None, self._what))

    async def read_bytes(self, offset: int, size: int) -> bytes:
        """Many registers, read as words of 4 bytes in order. Offset and size are multiples of 4. Errors as `read`."""
        if size % _WORD:
            raise invalid("bytes", f"{size} is not a multiple of {_WORD}")
        if size == 0:
            return b""
        if self._region != ops.CONFIG:
            words = await self.read_many(range(offset, offset + size, _WORD))
            return b"".join(word.to_bytes(_WORD, "little") for word in words)
        request = m.ConfigRead(function=self._function, offset=u32(offset, "offset"), bytes=u32(size, "bytes"))
        return await self._connection.ask(
            with_data(b.CONFIG_READ, request, m.ConfigReadReply, lambda _, got: got or b"", self._what, reply_bytes=size)
        )
