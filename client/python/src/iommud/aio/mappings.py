"""The mappings of one domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..addresses import u64
from ..core.operation import operation
from ..gen import bodies as b
from ..gen import messages as m
from ..values import MapReport, UnmapReport
from ..vocabulary import access_bits

if TYPE_CHECKING:
    from .connection import Connection

_NS_OF_MS = 1e6


class Mappings:
    """Of a domain by its number, or of the one that a function, or a PASID of it, has attached."""

    def __init__(
        self, connection: Connection, what: str, *, domain: int | None = None, function: int | None = None, pasid: int | None = None
    ) -> None:
        self._connection = connection
        self._what = what
        self._domain = domain
        self._function = function
        self._pasid = pasid

    async def map(self, *, address: int, size: int, access: str, iova: int | None = None) -> MapReport:
        """Maps physical memory; without `iova` the DMA API of the function's driver chooses one. `access` is `r`, `w`, `rw`, …

        Errors: EINVAL (alignment, width, no access), EADDRINUSE (overlaps), ENOENT, ENODEV, ENOMEM, EOPNOTSUPP.
        """
        request = m.DmaMap(
            domain=self._domain,
            function=self._function,
            pasid=self._pasid,
            iova=None if iova is None else u64(iova, "iova"),
            address=u64(address, "address"),
            bytes=u64(size, "bytes"),
            access=access_bits(access),
        )

        def report(reply: m.DmaMapReply) -> MapReport:
            return MapReport(reply.iova if iova is None else iova, reply.elapsed_ns / _NS_OF_MS)

        return await self._connection.ask(operation(b.DMA_MAP, request, m.DmaMapReply, report, f"a mapping into {self._what}"))

    async def unmap(self, *, iova: int, size: int) -> UnmapReport:
        """Returns when every request translated with the old mapping has been performed and the functions' ATCs have answered or timed out: the pages
        may be used for something else. Errors: EINVAL (alignment, 0 bytes), ENOENT, ENODEV."""
        request = m.DmaUnmap(
            domain=self._domain, function=self._function, pasid=self._pasid, iova=u64(iova, "iova"), bytes=u64(size, "bytes")
        )

        def report(reply: m.DmaUnmapReply) -> UnmapReport:
            return UnmapReport(reply.bytes, reply.timed_out, reply.elapsed_ns / _NS_OF_MS)

        return await self._connection.ask(
            operation(b.DMA_UNMAP, request, m.DmaUnmapReply, report, f"an unmap at {iova:#x} of {self._what}")
        )

    async def iova_to_phys(self, iova: int) -> int | None:
        """The physical address that an IOVA maps to; None for none. Errors: ENOENT, ENODEV; where a peer has the tables ETIMEDOUT, EIO, EPERM."""
        request = m.IovaToPhys(domain=self._domain, function=self._function, pasid=self._pasid, iova=u64(iova, "iova"))

        def address(reply: m.IovaToPhysReply) -> int | None:
            return reply.address if reply.mapped else None

        return await self._connection.ask(
            operation(b.IOVA_TO_PHYS, request, m.IovaToPhysReply, address, f"a look at {iova:#x} of {self._what}")
        )
