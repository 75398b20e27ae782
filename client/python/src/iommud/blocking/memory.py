# Made from aio/memory.py by tools/make_blocking.py. Do not edit.
"""Guest memory as the host sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..addresses import u64
from ..core import operations as ops
from ..core.limits import DMA_BYTES_MAX
from ..core.operation import operation, with_data
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

    def alloc(self, size: int) -> Allocation:
        """Takes pages that nobody uses, zero-filled when never used before. Errors: EINVAL, ENOMEM."""
        request = m.MemoryAlloc(bytes=u64(size, "bytes"))
        return self._connection.ask(
            operation(
                b.MEMORY_ALLOC,
                request,
                m.MemoryAllocReply,
                lambda reply: Allocation(reply.address, reply.bytes),
                f"an allocation of {size} bytes",
            )
        )

    def free(self, address: int) -> None:
        """Gives an allocation back by its start. Errors: ENOENT, EBUSY (the fate of a write to it is unknown)."""
        request = m.MemoryFree(address=u64(address, "address"))
        self._connection.ask(operation(b.MEMORY_FREE, request, m.MemoryFreeReply, lambda _: None, f"freeing memory at {address:#x}"))

    def read(self, address: int, size: int) -> bytes:
        """Any number of bytes: more than one call carries go in several. Errors: EFAULT, EIO (its owner failed), EINVAL."""
        if size < 0:
            raise invalid("bytes", f"{size} is negative")
        parts = [ops.memory_read(address + at, min(DMA_BYTES_MAX, size - at)) for at in range(0, max(size, 1), DMA_BYTES_MAX)]
        got: list[bytes] = self._connection.ask_all(parts)
        return b"".join(got)

    def write(self, address: int, data: bytes) -> None:
        """Any number of bytes. Errors as `read`; parts that were written before an error stay written."""
        kept = bytes(data)
        parts = [ops.memory_write(address + at, kept[at : at + DMA_BYTES_MAX]) for at in range(0, max(len(kept), 1), DMA_BYTES_MAX)]
        self._connection.ask_all(parts)

    def set_dirty_log(self, on: bool) -> None:
        """Notes from now on which pages are written, by functions, by hosts, or by owners that say so (`OwnedMemory.dirty`), all of them clean at first; or
        notes no more. Memory that gets an owner while it is on is dirty as a whole."""
        request = m.DirtyLogSet(on=on)
        self._connection.ask(operation(b.DIRTY_LOG_SET, request, m.DirtyLogSetReply, lambda _: None, "the log of what is written"))

    def read_dirty_log(self, address: int, size: int, *, page_size: int = 4096, no_clear: bool | None = None) -> list[int]:
        """Addresses of the pages of a range that were written since they were last clean; they are clean again unless `no_clear`. A write to memory that a peer
        owns counts when the owner has answered it. Errors: EINVAL (the log is off; alignment; more than 1 MiB of bitmap)."""
        request = m.DirtyLogRead(
            address=u64(address, "address"), bytes=u64(size, "bytes"), page_bytes=u64(page_size, "page_bytes"), no_clear=no_clear
        )

        def pages(_: m.DirtyLogReadReply, data: bytes | None) -> list[int]:
            bits = [at * 8 + bit for at, byte in enumerate(data or b"") if byte for bit in range(8) if byte >> bit & 1]
            return [address + bit * page_size for bit in bits]

        # As the server counts it: a bit a page, in whole bytes, and no more than a reply carries.
        carried = min(-(-(size // max(page_size, 1)) // 8), DMA_BYTES_MAX)
        what = f"what was written of {size:#x} bytes at {address:#x}"
        return self._connection.ask(with_data(b.DIRTY_LOG_READ, request, m.DirtyLogReadReply, pages, what, reply_bytes=carried))
