# Made from aio/domains.py by tools/make_blocking.py. Do not edit.
"""Domains of the IOMMU."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from ..addresses import u64
from ..core.operation import operation
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import DOMAIN_TYPE, DomainType
from .mappings import Mappings

if TYPE_CHECKING:
    from .connection import Connection


class Domain(Mappings):
    """A domain that was made here. `with` frees it."""

    def __init__(self, connection: Connection, number: int) -> None:
        super().__init__(connection, f"domain {number}", domain=number)
        self.number = number

    def free(self) -> None:
        """Errors: ENOENT, EBUSY (attached)."""
        request = m.DomainFree(domain=self.number)
        self._connection.ask(operation(b.DOMAIN_FREE, request, m.DomainFreeReply, lambda _: None, f"freeing {self._what}"))

    def __enter__(self) -> Domain:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.free()


class Domains:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def alloc(
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
    ) -> Domain:
        """Makes a domain; `root`: of tables that a guest wrote, with `parent` as their second stage. Errors: EINVAL, ENOENT, ENOMEM, EOPNOTSUPP."""
        request = m.DomainAlloc(
            type=DOMAIN_TYPE.number_of(type, "type"),
            shared_address=shared_address,
            format=format,
            root=None if root is None else u64(root, "root"),
            parent=None if parent is None else parent.number,
            dirty_tracking=dirty_tracking,
            accessed_dirty=accessed_dirty,
            faults=faults,
        )
        number = self._connection.ask(
            operation(b.DOMAIN_ALLOC, request, m.DomainAllocReply, lambda reply: reply.domain, "a new domain")
        )
        return Domain(self._connection, number)
