# Made from aio/model.py by tools/make_blocking.py. Do not edit.
"""What a `dma-probe` is made to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..addresses import bdf_text, u32
from ..core import operations as ops
from ..core.operation import operation
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import InterruptOutcome, OnFault, RequestPoint
from ..values import DmaResult, PageRequestResult

if TYPE_CHECKING:
    from .connection import Connection, Pending


class Model:
    """Each call returns when the operation has ended and says what became of it; `start_…` makes it and returns at once.

    Of all: `pasid` (20 bits); `translated`: through the function's ATC; `hold`: each request is held at that point until it is released or a reset drops
    it, or for `hold_ms` of the machine's clock; `on_fault`: where a translation request grants too little, `page-request` asks for the pages.
    Errors: ENODEV, EOPNOTSUPP (another model), EINVAL. A fault is an outcome and no error.
    """

    def __init__(self, connection: Connection, function: int) -> None:
        self._connection = connection
        self._function = function
        self._bdf = bdf_text(function)

    def start_read(
        self,
        iova: int,
        size: int,
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
        execute: bool | None = None,
        hold: RequestPoint | None = None,
        hold_ms: float | None = None,
        on_fault: OnFault | None = None,
    ) -> Pending[DmaResult]:
        """1 byte to 1 MiB, which are in `data` of the result."""
        return self._connection.start(
            ops.model_dma(
                self._function,
                "read",
                iova,
                size,
                f"a read of {self._bdf} at {iova:#x}",
                pasid=pasid,
                translated=translated,
                privileged=privileged,
                execute=execute,
                hold=hold,
                hold_ms=hold_ms,
                on_fault=on_fault,
            )
        )

    def read(
        self,
        iova: int,
        size: int,
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
        execute: bool | None = None,
        hold: RequestPoint | None = None,
        hold_ms: float | None = None,
        on_fault: OnFault | None = None,
    ) -> DmaResult:
        """As `start_read`."""
        pending = self.start_read(
            iova,
            size,
            pasid=pasid,
            translated=translated,
            privileged=privileged,
            execute=execute,
            hold=hold,
            hold_ms=hold_ms,
            on_fault=on_fault,
        )
        return pending.result()

    def start_write(
        self,
        iova: int,
        data: bytes,
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
        hold: RequestPoint | None = None,
        hold_ms: float | None = None,
        on_fault: OnFault | None = None,
    ) -> Pending[DmaResult]:
        """1 byte to 1 MiB."""
        return self._connection.start(
            ops.model_dma(
                self._function,
                "write",
                iova,
                len(data),
                f"a write of {self._bdf} at {iova:#x}",
                bytes(data),
                pasid=pasid,
                translated=translated,
                privileged=privileged,
                hold=hold,
                hold_ms=hold_ms,
                on_fault=on_fault,
            )
        )

    def write(
        self,
        iova: int,
        data: bytes,
        *,
        pasid: int | None = None,
        translated: bool | None = None,
        privileged: bool | None = None,
        hold: RequestPoint | None = None,
        hold_ms: float | None = None,
        on_fault: OnFault | None = None,
    ) -> DmaResult:
        """As `start_write`."""
        pending = self.start_write(
            iova,
            data,
            pasid=pasid,
            translated=translated,
            privileged=privileged,
            hold=hold,
            hold_ms=hold_ms,
            on_fault=on_fault,
        )
        return pending.result()

    def translate(
        self,
        iova: int,
        *,
        write: bool | None = None,
        translations: int | None = None,
        pasid: int | None = None,
        privileged: bool | None = None,
        execute: bool | None = None,
        on_fault: OnFault | None = None,
    ) -> DmaResult:
        """An ATS translation request for the page at this address, or for `translations` from there on: `grants` of the result."""
        return self._connection.ask(
            ops.model_dma(
                self._function,
                "translate",
                iova,
                1,
                f"a translation request of {self._bdf} at {iova:#x}",
                pasid=pasid,
                privileged=privileged,
                execute=execute,
                write=write,
                translations=translations,
                on_fault=on_fault,
            )
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
        """An atomic of 4 or 8 bytes; the value before is in `data` of the result, little-endian."""
        return self._atomic("fetch-add", iova, size, ops.operands(size, value), pasid, translated, privileged)

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
        return self._atomic("swap", iova, size, ops.operands(size, value), pasid, translated, privileged)

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
        return self._atomic("compare-and-swap", iova, size, ops.operands(size, compare, value), pasid, translated, privileged)

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
        """Page requests for consecutive pages; returns with the group's answer, or at once where `last` is False. Errors: EBUSY, EAGAIN."""
        request = ops.page_request(self._function, iova, pages, access, pasid, privileged, group, last)
        return self._connection.ask(
            operation(b.MODEL_PAGE_REQUEST, request, m.ModelPageRequestReply, PageRequestResult.of, f"page requests at {iova:#x}")
        )

    def stop_pasid(self, pasid: int) -> PageRequestResult:
        """A Stop Marker: it has stopped using the PASID and waits for no answer of that any more. Errors: EINVAL (a group has no last request yet)."""
        request = m.ModelPageRequest(function=self._function, pasid=u32(pasid, "pasid"), stop_marker=True)
        return self._connection.ask(
            operation(b.MODEL_PAGE_REQUEST, request, m.ModelPageRequestReply, PageRequestResult.of, f"a Stop Marker for PASID {pasid}")
        )

    def interrupt(self, vector: int) -> InterruptOutcome:
        """Interrupt `vector` of the function happens: by MSI-X, MSI or INTx, as its configuration space has enabled. Errors: EINVAL."""
        return self._connection.ask(ops.model_interrupt(self._function, vector, None))

    def line(self, asserted: bool) -> InterruptOutcome:
        """The function's cause for INTx comes or goes."""
        return self._connection.ask(ops.model_interrupt(self._function, None, asserted))

    def _atomic(
        self, kind: str, iova: int, size: int, data: bytes, pasid: int | None, translated: bool | None, privileged: bool | None
    ) -> DmaResult:
        what = f"a {kind} of {self._bdf} at {iova:#x}"
        return self._connection.ask(
            ops.model_dma(self._function, kind, iova, size, what, data, pasid=pasid, translated=translated, privileged=privileged)
        )
