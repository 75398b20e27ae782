"""Packet and Frame by hand, against what protobuf makes of the same contract."""

import random

import pytest

from iommud.core.frames import CALL, CANCEL, EVENT, REPLY, FrameError, PacketWriter, read_packet, varint
from iommud.core.limits import DMA_BYTES_MAX, FRAME_BYTES_MAX, PACKET_BYTES_MAX, PACKET_FRAMES_MAX
from iommud.core.operations import region_read, region_write
from iommud.gen import bodies as b
from iommud.gen import messages as m

# The example of docs/protocol.md.
READ_AS_CALL_5 = bytes.fromhex("0a19080510018202120d100000001007191000000000000000" + "2004")


def written(*frames: tuple[int, int, int, bytes, bytes | None]) -> list[bytes]:
    writer = PacketWriter()
    for frame in frames:
        writer.add(*frame)
    return writer.take()


def test_the_example_of_the_protocol_page() -> None:
    body = region_read(0x10, 7, 0x10, 4, "").body
    assert body == m.RegionRead(function=0x10, region=7, offset=0x10, bytes=4).SerializeToString()
    assert written((5, CALL, b.REGION_READ, body, None)) == [READ_AS_CALL_5]
    (frame,) = read_packet(READ_AS_CALL_5)
    assert (frame.id, frame.kind, frame.number, frame.body, frame.data) == (5, CALL, b.REGION_READ, body, None)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_packed_by_hand_is_what_protobuf_packs(seed: int) -> None:
    rng = random.Random(seed)
    function, region, offset = rng.getrandbits(32), rng.randrange(8), rng.getrandbits(64)
    value, size = rng.getrandbits(64), rng.choice((1, 2, 4, 8))
    kept = value & (1 << 8 * size) - 1
    read = m.RegionRead(function=function, region=region, offset=offset, bytes=size)
    write = m.RegionWrite(function=function, region=region, offset=offset, bytes=size, value=kept)
    assert m.RegionRead.FromString(region_read(function, region, offset, size, "").body) == read
    assert m.RegionWrite.FromString(region_write(function, region, offset, value, size, "").body) == write


def random_frame(rng: random.Random) -> tuple[int, int, int, bytes, bytes | None]:
    id = rng.choice((0, 1, 127, 128, 16383, 16384, rng.getrandbits(32)))
    kind = rng.choice((CALL, REPLY, EVENT, CANCEL))
    if kind == CANCEL:
        return id, kind, 0, b"", None
    number = rng.choice((b.ERROR, b.HELLO, b.REGION_READ, b.MEMORY_READ_REPLY, b.FUNCTION_UNPLUG, b.FAULT_EVENT))
    body = m.MemoryFence(address=rng.getrandbits(64), bytes=rng.getrandbits(rng.randrange(1, 64))).SerializeToString()
    data = rng.choice((None, b"", rng.randbytes(rng.choice((1, 200, 20000)))))
    return id, kind, number, body, data


@pytest.mark.parametrize("seed", range(20))
def test_protobuf_reads_what_is_written_and_it_is_read_back(seed: int) -> None:
    rng = random.Random(seed)
    frames = [random_frame(rng) for _ in range(30)]
    packets = written(*frames)
    read = [tuple(frame) for packet in packets for frame in read_packet(packet)]
    assert read == frames
    by_protobuf = m.Packet.FromString(b"".join(packets)).frame
    assert [(one.id, one.kind, one.data if one.HasField("data") else None) for one in by_protobuf] == [
        (id, kind, data) for id, kind, _, _, data in frames
    ]


@pytest.mark.parametrize("seed", range(20))
def test_frames_that_protobuf_wrote_with_unknown_fields_are_read(seed: int) -> None:
    rng = random.Random(seed)
    frame = m.Frame(id=rng.getrandbits(32), kind=REPLY, region_read_reply=m.RegionReadReply(value=rng.getrandbits(64)))
    unknown = varint(9 << 3) + varint(rng.getrandbits(60)) + varint(10 << 3 | 1) + bytes(8) + varint(11 << 3 | 5) + bytes(4)
    inside = unknown + frame.SerializeToString() + varint(12 << 3 | 2) + varint(3) + b"abc"
    packet = varint(5 << 3 | 2) + varint(1) + b"x" + b"\x0a" + varint(len(inside)) + inside
    (read,) = read_packet(packet)
    assert (read.id, read.kind, read.number) == (frame.id, REPLY, b.REGION_READ_REPLY)
    assert m.RegionReadReply.FromString(read.body) == frame.region_read_reply


@pytest.mark.parametrize("seed", range(200))
def test_whatever_comes_is_frames_or_a_frame_error(seed: int) -> None:
    rng = random.Random(seed)
    (packet,) = written(*(random_frame(rng) for _ in range(5)))
    broken = bytearray(packet[: rng.randrange(1, len(packet) + 1)])
    for _ in range(rng.randrange(4)):
        broken[rng.randrange(len(broken))] = rng.getrandbits(8)
    try:
        for frame in read_packet(bytes(broken)):
            assert frame.kind in (CALL, REPLY, EVENT, CANCEL)
    except FrameError as problem:
        assert problem.close_code in (1007, 1009)


@pytest.mark.parametrize("cut", range(1, len(READ_AS_CALL_5)))
def test_a_packet_that_is_cut_off_is_undecodable(cut: int) -> None:
    with pytest.raises(FrameError) as caught:
        list(read_packet(READ_AS_CALL_5[:cut]))
    assert caught.value.close_code == 1007


@pytest.mark.parametrize(
    "inside",
    [b"\x08\x05", b"\x08\x05\x10\x01", b"\x08\x05\x10\x05\x82\x02\x00", b"\x08\x05\x10\x01\x82\x02\x00\x82\x02\x00", b"\x03\x08\x05"],
    ids=["no kind", "no body", "unknown kind", "two bodies", "a group"],
)
def test_what_is_no_frame_is_undecodable(inside: bytes) -> None:
    with pytest.raises(FrameError) as caught:
        list(read_packet(b"\x0a" + varint(len(inside)) + inside))
    assert caught.value.close_code == 1007


def test_frames_are_joined_up_to_what_the_server_takes() -> None:
    writer = PacketWriter()
    writer.limit(4096, 1000, 8)
    for id in range(1, 101):
        writer.add(id, CALL, b.REGION_READ, bytes(18))
    packets = writer.take()
    assert [len(list(read_packet(packet))) for packet in packets] == [8] * 12 + [4]
    writer.limit(4096, 100, 1 << 15)
    for id in range(1, 11):
        writer.add(id, CALL, b.REGION_READ, bytes(18))
    assert all(len(packet) <= 100 for packet in writer.take())


def test_one_frame_may_be_larger_than_a_packet_and_no_larger_than_a_frame() -> None:
    writer = PacketWriter()
    writer.add(1, CALL, b.MEMORY_WRITE, bytes(9), bytes(DMA_BYTES_MAX))
    (packet,) = writer.take()
    assert PACKET_BYTES_MAX < len(packet) <= FRAME_BYTES_MAX
    with pytest.raises(FrameError) as caught:
        writer.add(1, CALL, b.MEMORY_WRITE, bytes(9), bytes(DMA_BYTES_MAX + 1))
    assert caught.value.close_code == 1009
    writer.limit(4096, 4096, 8)
    with pytest.raises(FrameError):
        writer.add(1, CALL, b.MEMORY_WRITE, bytes(9), bytes(4096))
    assert writer.take() == []


def test_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(FrameError) as caught:
        list(read_packet(bytes(FRAME_BYTES_MAX + 1)))
    assert caught.value.close_code == 1009
    one = b"\x0a\x04\x08\x01\x10\x04"
    with pytest.raises(FrameError) as caught:
        list(read_packet(one * (PACKET_FRAMES_MAX + 1)))
    assert caught.value.close_code == 1008
