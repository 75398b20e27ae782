# Made from aio/device_dma.py by tools/make_blocking.py. Do not edit.
"""DMA from a function that this program emulates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Sequence

from ..addresses import bdf_text, u32
from ..core import operations as ops
from ..core.limits import DMA_BYTES_MAX
from ..core.operation import operation
from ..gen import bodies as b
from ..gen import messages as m
from ..values import DmaResult, PageRequestResult

if TYPE_CHECKING:
    from .connection import Connection, Pending


class DeviceDma:
    """`translated`: through the function's ATC; where this program keeps that, the address is physical. `privileged`, `execute`: with a PASID, what the
    requests ask for. A fault is an outcome and no error.
    Errors: ENODEV, EPERM (not claimed), EINVAL, EAGAIN (its ledger is full)."""

    def __init__(self, connection: Connection, function: int) -> None:
        self._connection = connection
        self._function = function
        self._what = f"DMA of {bdf_text(function)}"

    def read(
        self,
        iova: int,
        size: int,
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
        execute: bool | None = None,
    ) -> DmaResult:
        """The bytes are in `data` of the result. More than one call carries (1 MiB) is read in turn, up to the first fault."""
        whole: DmaResult | None = None
        for at in range(0, max(size, 1), DMA_BYTES_MAX):
            part = min(DMA_BYTES_MAX, size - at)
            one = self._connection.ask(
                ops.device_dma_read(self._function, iova + at, part, ops.DmaTerms(pasid, translated, privileged, execute), self._what)
            )
            whole = one if whole is None else _joined(whole, one)
            if not whole.ok:
                break
        assert whole is not None
        return whole

    def write(
        self, iova: int, data: bytes, *, pasid: int | None = None, translated: bool | None = None, privileged: bool | None = None
    ) -> DmaResult:
        """More than one call carries (1 MiB) is written in turn, up to the first fault."""
        whole: DmaResult | None = None
        for at in range(0, max(len(data), 1), DMA_BYTES_MAX):
            part = bytes(data[at : at + DMA_BYTES_MAX])
            one = self._connection.ask(
                ops.device_dma_write(self._function, iova + at, part, ops.DmaTerms(pasid, translated, privileged), self._what)
            )
            whole = one if whole is None else _joined(whole, one)
            if not whole.ok:
                break
        assert whole is not None
        return whole

    def start_read(
        self,
        iova: int,
        size: int,
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
        execute: bool | None = None,
    ) -> Pending[DmaResult]:
        """Makes the request, of at most 1 MiB, and does not wait for its end: `Device.when_done` tells."""
        return self._connection.start(
            ops.device_dma_read(self._function, iova, size, ops.DmaTerms(pasid, translated, privileged, execute), self._what)
        )

    def start_write(
        self, iova: int, data: bytes, *, pasid: int | None = None, translated: bool | None = None, privileged: bool | None = None
    ) -> Pending[DmaResult]:
        """The same of a write."""
        return self._connection.start(
            ops.device_dma_write(self._function, iova, bytes(data), ops.DmaTerms(pasid, translated, privileged), self._what)
        )

    def post(
        self, iova: int, data: bytes, *, pasid: int | None = None, translated: bool | None = None, privileged: bool | None = None
    ) -> None:
        """A posted write, as a real function makes it: what became of it shows as a fault record only."""
        self._connection.post(
            ops.device_dma_write(self._function, iova, bytes(data), ops.DmaTerms(pasid, translated, privileged), self._what)
        )

    def read_list(
        self,
        ranges: Sequence[tuple[int, int]],
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
        execute: bool | None = None,
    ) -> list[DmaResult]:
        """Several ranges in one call, each an IOVA and a size, at most 256 and 1 MiB together; a result for each, in order, with its bytes. Errors: EINVAL names
        the range."""
        return self._connection.ask(
            ops.dma_list(self._function, ranges, None, ops.DmaTerms(pasid, translated, privileged, execute), self._what)
        )

    def write_list(
        self,
        ranges: Sequence[tuple[int, bytes]],
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
    ) -> list[DmaResult]:
        """The same of writes, each an IOVA and its bytes."""
        sizes = [(iova, len(data)) for iova, data in ranges]
        data = b"".join(bytes(part) for _, part in ranges)
        return self._connection.ask(
            ops.dma_list(self._function, sizes, data, ops.DmaTerms(pasid, translated, privileged), self._what)
        )

    def fetch_add(
        self,
        iova: int,
        value: int,
        size: int = 8,
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
    ) -> DmaResult:
        """An AtomicOp of 4 or 8 bytes, at a multiple of them; the value before is in `data` of the result, little-endian."""
        return self._atomic("fetch-add", iova, size, ops.operands(size, value), ops.DmaTerms(pasid, translated, privileged))

    def swap(
        self,
        iova: int,
        value: int,
        size: int = 8,
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
    ) -> DmaResult:
        """As `fetch_add`."""
        return self._atomic("swap", iova, size, ops.operands(size, value), ops.DmaTerms(pasid, translated, privileged))

    def compare_and_swap(
        self,
        iova: int,
        compare: int,
        value: int,
        size: int = 8,
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
    ) -> DmaResult:
        """As `fetch_add`, of 16 bytes too."""
        data = ops.operands(size, compare, value)
        return self._atomic("compare-and-swap", iova, size, data, ops.DmaTerms(pasid, translated, privileged))

    def request_pages(
        self,
        iova: int,
        pages: int = 1,
        access: str = "r",
        *,
        pasid: int | None = None,
        privileged: bool | None = None,
        group: int | None = None,
        last: bool | None = None,
    ) -> PageRequestResult:
        """Page requests for consecutive pages; returns with the group's answer, or at once where `last` is False. Errors: EPERM (not claimed), EBUSY,
        EAGAIN (more than its allocation leaves room for)."""
        request = ops.page_request(self._function, iova, pages, access, pasid, privileged, group, last)
        return self._connection.ask(
            operation(b.PAGE_REQUEST, request, m.PageRequestReply, PageRequestResult.of, f"page requests at {iova:#x}")
        )

    def stop_pasid(self, pasid: int) -> PageRequestResult:
        """A Stop Marker: it has stopped using the PASID. Errors: EPERM (not claimed), EINVAL (a group has no last request yet)."""
        request = m.PageRequest(function=self._function, pasid=u32(pasid, "pasid"), stop_marker=True)
        return self._connection.ask(
            operation(b.PAGE_REQUEST, request, m.PageRequestReply, PageRequestResult.of, f"a Stop Marker for PASID {pasid}")
        )

    def _atomic(self, kind: str, iova: int, size: int, data: bytes, terms: ops.DmaTerms) -> DmaResult:
        return self._connection.ask(ops.device_dma_atomic(self._function, kind, iova, size, data, terms, self._what))


def _joined(first: DmaResult, then: DmaResult) -> DmaResult:
    return replace(
        then,
        requests=first.requests + then.requests,
        size=first.size + then.size,
        data=None if first.data is None else first.data + (then.data or b""),
        elapsed_ms=first.elapsed_ms + then.elapsed_ms,
    )
