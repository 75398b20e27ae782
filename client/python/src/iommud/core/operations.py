"""Calls of the contract as operations, where both faces and several handles need them, or where they are hot."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Sequence

from ..addresses import ns_of_ms, u32, u64
from ..errors import invalid
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import (
    DMA_OPERATION,
    INTERRUPT_OUTCOME,
    ON_DEADLINE,
    ON_FAULT,
    REQUEST_POINT,
    InterruptOutcome,
)
from ..values import DmaResult
from ..vocabulary import access_bits
from .operation import Operation, operation, with_data
from .session import Reply

CONFIG: Final = 7
ROM: Final = 6

# RegionRead and RegionWrite with all of their fields, in order.
_READ: Final = struct.Struct("<BIBBBQBB")
_WRITE: Final = struct.Struct("<BIBBBQBBBQ")
_FUNCTION: Final = 0x0D
_REGION: Final = 0x10
_OFFSET: Final = 0x19
_BYTES: Final = 0x20
_VALUE: Final = 0x29
_REPLY_VALUE: Final = 0x09
_WIDTHS: Final = (1, 2, 4, 8)


def region_read(function: int, region: int, offset: int, size: int, what: str) -> Operation[int]:
    if size not in _WIDTHS:
        raise invalid("bytes", f"{size} is no width of a register: 1, 2, 4 or 8")
    body = _READ.pack(_FUNCTION, function, _REGION, region, _OFFSET, u64(offset, "offset"), _BYTES, size)
    return Operation(b.REGION_READ, body, _value, what)


def region_write(function: int, region: int, offset: int, value: int, size: int, what: str) -> Operation[None]:
    if size not in _WIDTHS:
        raise invalid("bytes", f"{size} is no width of a register: 1, 2, 4 or 8")
    kept = value & (1 << 8 * size) - 1
    body = _WRITE.pack(_FUNCTION, function, _REGION, region, _OFFSET, u64(offset, "offset"), _BYTES, size, _VALUE, kept)
    return Operation(b.REGION_WRITE, body, _nothing, what)


def _value(reply: Reply) -> int:
    body = reply.body
    if len(body) == 9 and body[0] == _REPLY_VALUE:
        return int.from_bytes(body[1:], "little")
    return m.RegionReadReply.FromString(body).value


def _nothing(_reply: Reply) -> None:
    return None


def model_dma(
    function: int,
    kind: str,
    iova: int,
    size: int,
    what: str,
    data: bytes | None = None,
    *,
    pasid: int | None = None,
    translated: bool | None = None,
    privileged: bool | None = None,
    execute: bool | None = None,
    write: bool | None = None,
    translations: int | None = None,
    hold: str | None = None,
    hold_ms: float | None = None,
    on_fault: str | None = None,
) -> Operation[DmaResult]:
    request = m.ModelDma(
        function=function,
        operation=DMA_OPERATION.number_of(kind, "operation"),
        iova=u64(iova, "iova"),
        bytes=u32(size, "bytes"),
        pasid=None if pasid is None else u32(pasid, "pasid"),
        translated=translated,
        privileged=privileged,
        execute=execute,
        write=write,
        translations=None if translations is None else u32(translations, "translations"),
        hold=None if hold is None else REQUEST_POINT.number_of(hold, "hold"),
        hold_ns=None if hold_ms is None else ns_of_ms(hold_ms, "hold_ms"),
        on_fault=None if on_fault is None else ON_FAULT.number_of(on_fault, "on_fault"),
    )
    return with_data(
        b.MODEL_DMA, request, m.ModelDmaReply, lambda reply, got: DmaResult.of(reply.result, got), what, data, reply_bytes=size
    )


@dataclass(frozen=True)
class DmaTerms:
    """How a function that this program emulates does DMA, beside its address. `execute`: of reads."""

    pasid: int | None = None
    translated: bool | None = None
    privileged: bool | None = None
    execute: bool | None = None


def device_dma_read(function: int, iova: int, size: int, terms: DmaTerms, what: str) -> Operation[DmaResult]:
    request = m.DmaRead(
        function=function,
        iova=u64(iova, "iova"),
        bytes=u32(size, "bytes"),
        pasid=terms.pasid,
        translated=terms.translated,
        privileged=terms.privileged,
        execute=terms.execute,
    )
    return with_data(b.DMA_READ, request, m.DmaReadReply, lambda reply, got: DmaResult.of(reply.result, got), what, reply_bytes=size)


def device_dma_write(function: int, iova: int, data: bytes, terms: DmaTerms, what: str) -> Operation[DmaResult]:
    request = m.DmaWrite(
        function=function, iova=u64(iova, "iova"), pasid=terms.pasid, translated=terms.translated, privileged=terms.privileged
    )
    return with_data(b.DMA_WRITE, request, m.DmaWriteReply, lambda reply, _: DmaResult.of(reply.result, None), what, data)


def device_dma_atomic(function: int, kind: str, iova: int, size: int, data: bytes, terms: DmaTerms, what: str) -> Operation[DmaResult]:
    request = m.DmaAtomic(
        function=function,
        iova=u64(iova, "iova"),
        operation=DMA_OPERATION.number_of(kind, "operation"),
        bytes=u32(size, "bytes"),
        pasid=terms.pasid,
        translated=terms.translated,
        privileged=terms.privileged,
    )
    return with_data(
        b.DMA_ATOMIC, request, m.DmaAtomicReply, lambda reply, got: DmaResult.of(reply.result, got), what, data, reply_bytes=size
    )


def memory_read(address: int, size: int) -> Operation[bytes]:
    request = m.MemoryRead(address=u64(address, "address"), bytes=u32(size, "bytes"))
    what = f"a read of {size} bytes of memory at {address:#x}"
    return with_data(b.MEMORY_READ, request, m.MemoryReadReply, lambda _, got: got or b"", what, reply_bytes=size)


def memory_write(address: int, data: bytes) -> Operation[None]:
    what = f"a write of {len(data)} bytes of memory at {address:#x}"
    request = m.MemoryWrite(address=u64(address, "address"))
    return Operation(b.MEMORY_WRITE, request.SerializeToString(), _nothing, what, data)


def page_request(
    function: int, iova: int, pages: int, access: str, pasid: int | None, privileged: bool | None, group: int | None, last: bool | None
) -> m.ModelPageRequest:
    """Its fields are those of PageRequest too."""
    return m.ModelPageRequest(
        function=function,
        iova=u64(iova, "iova"),
        pages=u32(pages, "pages"),
        access=access_bits(access),
        pasid=pasid,
        privileged=privileged,
        group=group,
        last=last,
    )


def on_deadline_number(on_deadline: str | None) -> int | None:
    return None if on_deadline is None else ON_DEADLINE.number_of(on_deadline, "on_deadline")


def operands(size: int, *values: int) -> bytes:
    """Little-endian, one after the other; bits beyond the width are dropped, so a negative value is its two's complement."""
    return b"".join((value & (1 << 8 * size) - 1).to_bytes(size, "little") for value in values)


def device_interrupt(function: int, vector: int | None, line: bool | None) -> Operation[InterruptOutcome]:
    request = m.DeviceInterrupt(function=function, vector=None if vector is None else u32(vector, "vector"), line=line)
    return operation(
        b.DEVICE_INTERRUPT, request, m.DeviceInterruptReply, lambda reply: INTERRUPT_OUTCOME.name_of(reply.outcome), "an interrupt"
    )


def device_alarm_set(function: int, alarm: int, delay_ms: float | None) -> Operation[None]:
    delay_ns = None if delay_ms is None else ns_of_ms(delay_ms, "delay_ms")
    request = m.DeviceAlarmSet(function=function, alarm=u32(alarm, "alarm"), delay_ns=delay_ns)
    return operation(b.DEVICE_ALARM_SET, request, m.DeviceAlarmSetReply, lambda _: None, "an alarm")


def dma_list(
    function: int, ranges: Sequence[tuple[int, int]], data: bytes | None, terms: DmaTerms, what: str
) -> Operation[list[DmaResult]]:
    """Of writes where there is `data`."""
    request = m.DmaList(
        function=function,
        ranges=[m.DmaRange(iova=u64(iova, "iova"), bytes=u32(size, "bytes")) for iova, size in ranges],
        write=data is not None,
        pasid=terms.pasid,
        translated=terms.translated,
        privileged=terms.privileged,
        execute=terms.execute,
    )

    def results(reply: m.DmaListReply, got: bytes | None) -> list[DmaResult]:
        out: list[DmaResult] = []
        at = 0
        for one, (_, size) in zip(reply.results, ranges):
            out.append(DmaResult.of(one, None if got is None else got[at : at + one.bytes_done]))
            at += size
        return out

    wanted = 0 if data is not None else sum(size for _, size in ranges)
    return with_data(b.DMA_LIST, request, m.DmaListReply, results, what, data, reply_bytes=wanted)


def model_interrupt(function: int, vector: int | None, line: bool | None) -> Operation[InterruptOutcome]:
    request = m.ModelInterrupt(function=function, vector=None if vector is None else u32(vector, "vector"), line=line)
    return operation(
        b.MODEL_INTERRUPT, request, m.ModelInterruptReply, lambda reply: INTERRUPT_OUTCOME.name_of(reply.outcome), "an interrupt"
    )
