"""Guest memory as the host sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..addresses import u64
from ..core import operations as ops
from ..core.limits import DMA_BYTES_MAX
from ..core.operation import operation
from ..errors import invalid
from ..gen import bodies as b
from ..gen import messages as m
from ..values import Allocation

if TYPE_CHECKING:
    from .connection import Connection


class Memory:
    """Addresses are physical."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def alloc(self, size: int) -> Allocation:
        """Takes pages that nobody uses, zero-filled when never used before. Errors: EINVAL, ENOMEM."""
        request = m.MemoryAlloc(bytes=u64(size, "bytes"))
        return await self._connection.ask(
            operation(
                b.MEMORY_ALLOC,
                request,
                m.MemoryAllocReply,
                lambda reply: Allocation(reply.address, reply.bytes),
                f"an allocation of {size} bytes",
            )
        )

    async def free(self, address: int) -> None:
        """Gives an allocation back by its start. Errors: ENOENT, EBUSY (the fate of a write to it is unknown)."""
        request = m.MemoryFree(address=u64(address, "address"))
        await self._connection.ask(operation(b.MEMORY_FREE, request, m.MemoryFreeReply, lambda _: None, f"freeing memory at {address:#x}"))

    async def read(self, address: int, size: int) -> bytes:
        """Any number of bytes: more than one call carries go in several. Errors: EFAULT, EIO (its owner failed), EINVAL."""
        if size < 0:
            raise invalid("bytes", f"{size} is negative")
        parts = [ops.memory_read(address + at, min(DMA_BYTES_MAX, size - at)) for at in range(0, max(size, 1), DMA_BYTES_MAX)]
        got: list[bytes] = await self._connection.ask_all(parts)
        return b"".join(got)

    async def write(self, address: int, data: bytes) -> None:
        """Any number of bytes. Errors as `read`; parts that were written before an error stay written."""
        kept = bytes(data)
        parts = [ops.memory_write(address + at, kept[at : at + DMA_BYTES_MAX]) for at in range(0, max(len(kept), 1), DMA_BYTES_MAX)]
        await self._connection.ask_all(parts)
