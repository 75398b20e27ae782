"""The mappings of one domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..addresses import u64
from ..core.limits import DMA_BYTES_MAX
from ..core.operation import operation, with_data
from ..gen import bodies as b
from ..gen import messages as m
from ..values import DirtyReport, MapReport, UnmapReport
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

    async def unmapped(self, *, iova: int, size: int) -> list[tuple[int, int]]:
        """The parts of a range that nothing is mapped in, rising, as first and last address. Errors: EINVAL, ENOENT, ENODEV, EOPNOTSUPP."""
        found: list[tuple[int, int]] = []
        at: int | None = iova
        while at is not None:
            request = m.UnmappedRanges(
                domain=self._domain, function=self._function, pasid=self._pasid, iova=u64(at, "iova"), bytes=u64(iova + size - at, "bytes")
            )
            reply = await self._connection.ask(
                operation(b.UNMAPPED_RANGES, request, m.UnmappedRangesReply, lambda got: got, f"what is unmapped of {self._what}")
            )
            found += [(one.first, one.last) for one in reply.ranges]
            at = reply.next_iova if reply.HasField("next_iova") else None
        return found

    async def set_dirty_tracking(self, on: bool) -> int:
        """Notes from now on which pages functions write, all of them clean at first; or notes no more. How many ATC invalidations timed out: these functions
        may write unseen. Errors: ENOENT, ENODEV, EOPNOTSUPP (the domain was not made with `dirty_tracking`)."""
        request = m.DirtyTrackingSet(domain=self._domain, function=self._function, pasid=self._pasid, on=on)
        return await self._connection.ask(
            operation(
                b.DIRTY_TRACKING_SET,
                request,
                m.DirtyTrackingSetReply,
                lambda reply: reply.timed_out,
                f"dirty tracking of {self._what}",
            )
        )

    async def read_dirty(self, *, iova: int, size: int, page_size: int = 4096, no_clear: bool | None = None) -> DirtyReport:
        """The pages of a range that were written since they were last clean; they are clean again unless `no_clear`. A large page is dirty as a whole. Errors:
        EINVAL (tracking is off; alignment; more than 1 MiB of bitmap), ENOENT, ENODEV, EOPNOTSUPP."""
        request = m.DirtyRead(
            domain=self._domain,
            function=self._function,
            pasid=self._pasid,
            iova=u64(iova, "iova"),
            bytes=u64(size, "bytes"),
            page_bytes=u64(page_size, "page_bytes"),
            no_clear=no_clear,
        )

        def dirty(reply: m.DirtyReadReply, data: bytes | None) -> DirtyReport:
            bits = [at * 8 + bit for at, byte in enumerate(data or b"") if byte for bit in range(8) if byte >> bit & 1]
            return DirtyReport(tuple(iova + bit * page_size for bit in bits), reply.timed_out, reply.elapsed_ns / _NS_OF_MS)

        # As the server counts it: a bit a page, in whole bytes, and no more than a reply carries.
        carried = min(-(-(size // max(page_size, 1)) // 8), DMA_BYTES_MAX)
        what = f"what is dirty of {self._what}"
        return await self._connection.ask(with_data(b.DIRTY_READ, request, m.DirtyReadReply, dirty, what, reply_bytes=carried))
