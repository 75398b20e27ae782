"""Packet and Frame by hand, as proto/packet-reader.ts and proto/packet-writer.ts have them; bodies are bytes here."""

from __future__ import annotations

from typing import Final, Iterator, NamedTuple

from .limits import DMA_BYTES_MAX, FRAME_BYTES_MAX, PACKET_BYTES_ENOUGH, PACKET_BYTES_MAX, PACKET_FRAMES_MAX

CALL: Final = 1
REPLY: Final = 2
EVENT: Final = 3
CANCEL: Final = 4

_UNDECODABLE = 1007
_LIMITS = 1008
_SIZE = 1009
_BODY_FIRST = 16
_ID_MAX = 0xFFFF_FFFF


class FrameError(Exception):
    """Bytes that end the connection, with the close code that says why."""

    def __init__(self, close_code: int, message: str) -> None:
        super().__init__(message)
        self.close_code = close_code


class Frame(NamedTuple):
    id: int
    kind: int
    # Of the body in Frame; 0 for none (cancel).
    number: int
    body: bytes
    data: bytes | None


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# Ids, lengths and tags of all but the largest frames.
_VARINTS: Final = tuple(varint(value) for value in range(1 << 14))


def short_varint(value: int) -> bytes:
    return _VARINTS[value] if value < 1 << 14 else varint(value)


class PacketWriter:
    """Joins frames into packets as large as the server takes them."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []
        self._packet = bytearray()
        self._frames = 0
        self._frame_bytes_max = FRAME_BYTES_MAX
        self._packet_bytes_max = PACKET_BYTES_MAX
        self._packet_frames_max = PACKET_FRAMES_MAX

    def limit(self, frame_bytes_max: int, packet_bytes_max: int, packet_frames_max: int) -> None:
        """What the server's Hello said; 0 is not said."""
        self._frame_bytes_max = frame_bytes_max or FRAME_BYTES_MAX
        self._packet_bytes_max = packet_bytes_max or PACKET_BYTES_MAX
        self._packet_frames_max = packet_frames_max or PACKET_FRAMES_MAX

    def add(self, id: int, kind: int, number: int, body: bytes, data: bytes | None = None) -> None:
        """FrameError (1009) for a frame that the server would not take; nothing was added then."""
        frame = b"\x08" + short_varint(id) + b"\x10" + short_varint(kind)
        if data is not None:
            if len(data) > DMA_BYTES_MAX:
                raise FrameError(_SIZE, f"data of {len(data)} bytes is beyond {DMA_BYTES_MAX}")
            frame += b"\x1a" + short_varint(len(data)) + data
        if number:
            frame += short_varint(number << 3 | 2) + short_varint(len(body)) + body
        head = b"\x0a" + short_varint(len(frame))
        size = len(head) + len(frame)
        if size > self._frame_bytes_max:
            raise FrameError(_SIZE, f"a frame of {size} bytes is beyond {self._frame_bytes_max}")
        if self._frames and (len(self._packet) + size > self._packet_bytes_max or self._frames >= self._packet_frames_max):
            self._end_packet()
        self._packet += head
        self._packet += frame
        self._frames += 1
        if len(self._packet) >= PACKET_BYTES_ENOUGH:
            self._end_packet()

    def take(self) -> list[bytes]:
        """The packets that are ready, in order."""
        if self._frames:
            self._end_packet()
        packets, self._packets = self._packets, []
        return packets

    def _end_packet(self) -> None:
        self._packets.append(bytes(self._packet))
        self._packet.clear()
        self._frames = 0


def read_packet(packet: bytes) -> Iterator[Frame]:
    """The frames of a packet. FrameError (1007, 1008, 1009) and nothing else, behind the frames that were good."""
    if len(packet) > FRAME_BYTES_MAX:
        raise FrameError(_SIZE, f"a message of {len(packet)} bytes is beyond {FRAME_BYTES_MAX}")
    at = 0
    end = len(packet)
    frames = 0
    try:
        while at < end:
            tag, at = _varint_at(packet, at)
            if tag != 0x0A:
                at = _skipped(packet, at, tag)
                continue
            size = packet[at]
            at += 1
            if size > 0x7F:
                size, at = _varint_at(packet, at - 1)
            if at + size > end:
                raise FrameError(_UNDECODABLE, "a frame goes beyond its packet")
            frames += 1
            if frames > PACKET_FRAMES_MAX:
                raise FrameError(_LIMITS, f"more than {PACKET_FRAMES_MAX} frames in one packet")
            yield _frame_at(packet, at, at + size)
            at += size
    except IndexError:
        raise FrameError(_UNDECODABLE, "a packet that is cut off") from None
    if at != end:
        raise FrameError(_UNDECODABLE, "a field goes beyond its packet")


def _frame_at(packet: bytes, at: int, end: int) -> Frame:
    id = kind = number = 0
    body = b""
    data: bytes | None = None
    while at < end:
        tag = packet[at]
        at += 1
        if tag > 0x7F:
            tag, at = _varint_at(packet, at - 1)
        if tag == 0x08 or tag == 0x10:
            value = packet[at]
            at += 1
            if value > 0x7F:
                value, at = _varint_at(packet, at - 1)
            if tag == 0x08:
                id = value & _ID_MAX
            else:
                kind = value
        elif tag == 0x1A or (tag & 7 == 2 and tag >> 3 >= _BODY_FIRST):
            size = packet[at]
            at += 1
            if size > 0x7F:
                size, at = _varint_at(packet, at - 1)
            stop = at + size
            if stop > end:
                break_off = "data" if tag == 0x1A else "a body"
                raise FrameError(_UNDECODABLE, f"{break_off} goes beyond its frame")
            if tag == 0x1A:
                if size > DMA_BYTES_MAX:
                    raise FrameError(_SIZE, f"data of {size} bytes is beyond {DMA_BYTES_MAX}")
                data = packet[at:stop]
            else:
                if number:
                    raise FrameError(_UNDECODABLE, "a frame with two bodies")
                number = tag >> 3
                body = packet[at:stop]
            at = stop
        else:
            at = _skipped(packet, at, tag)
    if at != end:
        raise FrameError(_UNDECODABLE, "a field goes beyond its frame")
    if not CALL <= kind <= CANCEL:
        raise FrameError(_UNDECODABLE, f"frame kind {kind}")
    if number == 0 and kind != CANCEL:
        raise FrameError(_UNDECODABLE, "a frame without a body")
    return Frame(id, kind, number, body, data)


def _varint_at(packet: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = packet[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise FrameError(_UNDECODABLE, "a number of more than 10 bytes")


def _skipped(packet: bytes, at: int, tag: int) -> int:
    """The end of a field that nobody here knows."""
    kind = tag & 7
    if tag >> 3 == 0:
        raise FrameError(_UNDECODABLE, "a field without a number")
    if kind == 0:
        return _varint_at(packet, at)[1]
    if kind == 1:
        return at + 8
    if kind == 2:
        size, at = _varint_at(packet, at)
        return at + size
    if kind == 5:
        return at + 4
    raise FrameError(_UNDECODABLE, f"a field of wire type {kind}")
