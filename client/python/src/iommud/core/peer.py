"""Calls of the server to the device and memory roles."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from ..errors import error
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import RESET_METHOD, ResetMethod
from .session import PeerCall

DEVICE_CALLS: Final = (b.REGION_READ, b.REGION_WRITE, b.REGION_WRITE_MULTI, b.DEVICE_RESET, b.DEVICE_INVALIDATE, b.DEVICE_ALARM)
MEMORY_CALLS: Final = (b.MEMORY_READ, b.MEMORY_WRITE, b.MEMORY_FENCE)

_VALUE: Final = struct.Struct("<BQ")
_VALUE_TAG: Final = 0x09


class RegionAccess(NamedTuple):
    # 0 to 5 BAR, 6 expansion ROM, 7 configuration space.
    region: int
    # From the region's start, a multiple of the width.
    offset: int
    # Width: 1, 2, 4 or 8.
    size: int


class DeviceRead(NamedTuple):
    function: int
    access: RegionAccess


class DeviceWrite(NamedTuple):
    function: int
    access: RegionAccess
    value: int


class DeviceWrites(NamedTuple):
    """Several, in order."""

    function: int
    writes: list[tuple[RegionAccess, int]]


class Invalidation(NamedTuple):
    """An Invalidate Request (PCIe Base r6.0 §10.3.1): drop what is cached of the range."""

    # 0 to 31: its tag, which the completion names.
    itag: int
    # None: entries that were made without a PASID, and every entry that was made with one.
    pasid: int | None
    iova: int
    # A power of two from 4096, to which `iova` is aligned. None: everything.
    size: int | None


class DeviceInvalidate(NamedTuple):
    function: int
    invalidation: Invalidation


class DeviceReset(NamedTuple):
    function: int
    method: ResetMethod
    # Its power was off.
    cold: bool


class DeviceAlarm(NamedTuple):
    function: int
    alarm: int


class OwnerAccess(NamedTuple):
    """`size` of a read or a fence, `data` of a write."""

    number: int
    address: int
    size: int
    data: bytes
    epoch: int


DeviceCall = DeviceRead | DeviceWrite | DeviceWrites | DeviceReset | DeviceInvalidate | DeviceAlarm


def device_call(call: PeerCall) -> DeviceCall:
    if call.number == b.DEVICE_RESET:
        reset = m.DeviceReset.FromString(call.body)
        return DeviceReset(reset.function, RESET_METHOD.name_of(reset.method), reset.cold)
    if call.number == b.REGION_WRITE:
        write = m.RegionWrite.FromString(call.body)
        return DeviceWrite(write.function, RegionAccess(write.region, write.offset, write.bytes), write.value)
    if call.number == b.REGION_WRITE_MULTI:
        multi = m.RegionWriteMulti.FromString(call.body)
        return DeviceWrites(multi.function, [(RegionAccess(one.region, one.offset, one.bytes), one.value) for one in multi.writes])
    if call.number == b.DEVICE_INVALIDATE:
        asked = m.DeviceInvalidate.FromString(call.body)
        pasid = asked.pasid if asked.HasField("pasid") else None
        size = asked.bytes if asked.HasField("bytes") else None
        return DeviceInvalidate(asked.function, Invalidation(asked.itag, pasid, asked.iova, size))
    if call.number == b.DEVICE_ALARM:
        due = m.DeviceAlarm.FromString(call.body)
        return DeviceAlarm(due.function, due.alarm)
    read = m.RegionRead.FromString(call.body)
    return DeviceRead(read.function, RegionAccess(read.region, read.offset, read.bytes))


def owner_access(call: PeerCall) -> OwnerAccess:
    if call.number == b.MEMORY_WRITE:
        write = m.MemoryWrite.FromString(call.body)
        return OwnerAccess(call.number, write.address, 0, call.data or b"", write.epoch)
    if call.number == b.MEMORY_READ:
        read = m.MemoryRead.FromString(call.body)
        return OwnerAccess(call.number, read.address, read.bytes, b"", read.epoch)
    fence = m.MemoryFence.FromString(call.body)
    return OwnerAccess(call.number, fence.address, fence.bytes, b"", fence.epoch)


def value_body(value: int, access: RegionAccess) -> bytes:
    """The reply to a read. A value that is wider than the register is the emulator's error."""
    if not 0 <= value < 1 << 8 * access.size:
        raise error("EIO", f"the emulator gave {value:#x} for a register of {access.size} bytes")
    return _VALUE.pack(_VALUE_TAG, value)


def invalidated(answer: str) -> bytes:
    """The reply to an Invalidate Request."""
    return m.DeviceInvalidateReply(later=True).SerializeToString() if answer == "later" else b""


def whole(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise error("EIO", f"the owner gave {len(data)} bytes where {size} were read")
    return data
