"""I/O address spaces in the manner of iommufd."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Iterable

from ..addresses import u32, u64
from ..core.operation import operation
from ..gen import bodies as b
from ..gen import messages as m
from ..values import IovaRanges, MapReport, UnmapReport
from ..vocabulary import access_bits

if TYPE_CHECKING:
    from .connection import Connection

_NS_OF_MS = 1e6


class Ioas:
    """An I/O address space: every domain that stands for it has its areas. `async with` frees it."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self.number = u32(number, "ioas")
        self._what = f"I/O address space {number}"

    async def map(self, *, address: int, size: int, access: str, iova: int | None = None) -> MapReport:
        """Physical memory; without `iova` an address is chosen. Errors: ENOENT, EINVAL (alignment, reserved), EEXIST (there is an area), EOVERFLOW, ENOSPC (no
        room), ENOMEM."""
        request = m.IoasMap(
            ioas=self.number,
            iova=None if iova is None else u64(iova, "iova"),
            address=u64(address, "address"),
            bytes=u64(size, "bytes"),
            access=access_bits(access),
        )
        return await self._connection.ask(operation(b.IOAS_MAP, request, m.IoasMapReply, _mapped, f"an area of {self._what}"))

    async def copy(self, source: Ioas, *, source_iova: int, size: int, access: str, iova: int | None = None) -> MapReport:
        """The memory of another address space's areas, or of this one's, once more here. Errors: as `map`; ENOENT (not all mapped), EPERM."""
        request = m.IoasCopy(
            from_iova=u64(source_iova, "source_iova"),
            ioas=self.number,
            iova=None if iova is None else u64(iova, "iova"),
            bytes=u64(size, "bytes"),
            access=access_bits(access),
            **{"from": source.number},
        )
        return await self._connection.ask(operation(b.IOAS_COPY, request, m.IoasCopyReply, _mapped, f"a copy into {self._what}"))

    async def unmap(self, *, iova: int | None = None, size: int | None = None) -> UnmapReport:
        """Takes the areas of a range away, or all of them, and waits as `dma.unmap` does. Errors: ENOENT (none, or one that is not wholly in the range: what
        stands before it is gone), EINVAL, EOVERFLOW, EBUSY."""
        request = m.IoasUnmap(
            ioas=self.number, iova=None if iova is None else u64(iova, "iova"), bytes=None if size is None else u64(size, "bytes")
        )

        def report(reply: m.IoasUnmapReply) -> UnmapReport:
            return UnmapReport(reply.bytes, reply.timed_out, reply.elapsed_ns / _NS_OF_MS)

        return await self._connection.ask(operation(b.IOAS_UNMAP, request, m.IoasUnmapReply, report, f"an unmap of {self._what}"))

    async def ranges(self, *, unmapped: bool | None = None, max: int | None = None) -> IovaRanges:
        """What is not reserved; with `unmapped`, nor mapped. Errors: ENOENT."""
        request = m.IoasRanges(ioas=self.number, unmapped=unmapped, max=None if max is None else u32(max, "max"))
        return await self._connection.ask(
            operation(b.IOAS_RANGES, request, m.IoasRangesReply, IovaRanges.of, f"the ranges of {self._what}")
        )

    async def allow(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Restricts where addresses are chosen, by first and last address; none lifts it. Errors: ENOENT, EINVAL (no length, an overlap), EADDRINUSE
        (reserved)."""
        allowed = [m.IovaRange(first=u64(first, "first"), last=u64(last, "last")) for first, last in ranges]
        request = m.IoasAllow(ioas=self.number, ranges=allowed)
        await self._connection.ask(operation(b.IOAS_ALLOW, request, m.IoasAllowReply, lambda _: None, f"what {self._what} allows"))

    async def free(self) -> None:
        """Errors: ENOENT, EBUSY (a domain stands for it)."""
        request = m.IoasFree(ioas=self.number)
        await self._connection.ask(operation(b.IOAS_FREE, request, m.IoasFreeReply, lambda _: None, f"freeing {self._what}"))

    async def __aenter__(self) -> Ioas:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection.closed is None:
            await self.free()


class Ioases:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self) -> Ioas:
        """Errors: ENOMEM, EOPNOTSUPP (no IOMMU)."""
        number = await self._connection.ask(
            operation(b.IOAS_ALLOC, m.IoasAlloc(), m.IoasAllocReply, lambda reply: reply.ioas, "a new I/O address space")
        )
        return Ioas(self._connection, number)

    def get(self, number: int) -> Ioas:
        """The one with this number, which need not exist."""
        return Ioas(self._connection, number)


def _mapped(reply: m.IoasMapReply | m.IoasCopyReply) -> MapReport:
    return MapReport(reply.iova, reply.elapsed_ns / _NS_OF_MS)
