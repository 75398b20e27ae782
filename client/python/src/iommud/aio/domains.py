"""Domains of the IOMMU."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Iterable

from ..addresses import u32, u64
from ..core.operation import operation
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import DOMAIN_TYPE, INVALIDATE_TYPE, DomainType, InvalidateType
from ..values import InvalidateReport
from .ioas import Ioas
from .mappings import Mappings

if TYPE_CHECKING:
    from .connection import Connection


class Domain(Mappings):
    """An address space that functions are attached to. `async with` frees it."""

    def __init__(self, connection: Connection, number: int) -> None:
        super().__init__(connection, f"domain {number}", domain=u32(number, "domain"))
        self.number = number

    async def invalidate(self, type: InvalidateType, requests: Iterable[tuple[int, int]]) -> InvalidateReport:
        """Invalidates what is cached of it, for a guest that writes its tables (IOMMU_HWPT_INVALIDATE): request after request, each an IOVA and a number of 4 KiB
        pages (0 and 2^64 - 1: everything), up to the first that cannot be. Errors: ENOENT, EINVAL (no guest writes its tables; the type is not for their
        format)."""
        asked = [m.InvalidateRequest(iova=u64(iova, "iova"), pages=u64(pages, "pages")) for iova, pages in requests]
        request = m.DomainInvalidate(domain=self.number, type=INVALIDATE_TYPE.number_of(type, "type"), requests=asked)
        what = f"an invalidation of {self._what}"
        return await self._connection.ask(operation(b.DOMAIN_INVALIDATE, request, m.DomainInvalidateReply, InvalidateReport.of, what))

    async def free(self) -> None:
        """Errors: ENOENT, EBUSY (attached, or the parent of a nested domain)."""
        request = m.DomainFree(domain=self.number)
        await self._connection.ask(operation(b.DOMAIN_FREE, request, m.DomainFreeReply, lambda _: None, f"freeing {self._what}"))

    async def __aenter__(self) -> Domain:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        await self.free()


class Domains:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def alloc(
        self,
        type: DomainType = "paging",
        *,
        format: str | None = None,
        root: int | None = None,
        parent: Domain | None = None,
        shared_address: bool | None = None,
        dirty_tracking: bool | None = None,
        accessed_dirty: bool | None = None,
        faults: bool | None = None,
        ioas: Ioas | None = None,
    ) -> Domain:
        """Makes a domain; `root`: of tables that a guest wrote, with `parent` as their second stage; `ioas`: the I/O address space that it stands for, whose
        areas are the mappings. Errors: EINVAL, ENOENT, ENOMEM, EOPNOTSUPP."""
        request = m.DomainAlloc(
            type=DOMAIN_TYPE.number_of(type, "type"),
            shared_address=shared_address,
            format=format,
            root=None if root is None else u64(root, "root"),
            parent=None if parent is None else parent.number,
            dirty_tracking=dirty_tracking,
            accessed_dirty=accessed_dirty,
            faults=faults,
            ioas=None if ioas is None else ioas.number,
        )
        number = await self._connection.ask(
            operation(b.DOMAIN_ALLOC, request, m.DomainAllocReply, lambda reply: reply.domain, "a new domain")
        )
        return Domain(self._connection, number)

    def get(self, number: int) -> Domain:
        """The domain with this number, which need not exist."""
        return Domain(self._connection, number)
