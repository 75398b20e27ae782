"""What a client does when the other end breaks: a server of this test's own, by the package websockets."""

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.server import serve

import iommud
from iommud import IommudError, aio
from iommud.core.frames import CALL, EVENT, REPLY, PacketWriter, read_packet
from iommud.gen import bodies as b
from iommud.gen import messages as m

HELLO = m.HelloReply(product="fake", product_version="1", contract_version="1.2", roles=[1], machine="m")
Script = Callable[[Any], Any]


def packet(*frames: tuple[int, int, int, bytes]) -> bytes:
    writer = PacketWriter()
    for frame in frames:
        writer.add(*frame)
    return b"".join(writer.take())


class Fake:
    """Says Hello, then does what its script says; `close_code` is what the client closed with."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.close_code: int | None = None
        self.connections = 0
        self.port = 0
        self.done = threading.Event()

    async def serve(self, peer: Any, *_: object) -> None:
        self.connections += 1
        try:
            first = next(read_packet(await peer.recv()))
            await peer.send(packet((first.id, REPLY, b.HELLO_REPLY, HELLO.SerializeToString())))
            await self.script(peer)
            await peer.wait_closed()
        except ConnectionClosed:
            pass
        self.close_code = peer.close_code
        self.done.set()


@contextmanager
def fake(script: Script) -> Iterator[Fake]:
    server = Fake(script)
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop: asyncio.Future[None] = loop.create_future()

    async def main() -> None:
        async with serve(server.serve, "127.0.0.1", 0, subprotocols=["iommud.v1"]) as listening:  # type: ignore[list-item]
            server.port = next(iter(listening.sockets)).getsockname()[1]
            ready.set()
            await stop

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set_result, None)
        thread.join(10)


def url(server: Fake) -> str:
    return f"ws://127.0.0.1:{server.port}/v1/machines/m/socket"


def info_over_blocking(address: str) -> None:
    with iommud.connect(address, timeout=10) as connection:
        connection.machine.info()


def info_over_aio(address: str) -> None:
    async def main() -> None:
        async with await aio.connect(address, timeout=10) as connection:
            await connection.machine.info()

    asyncio.run(main())


FACES = pytest.mark.parametrize("info", [info_over_blocking, info_over_aio], ids=["blocking", "aio"])


async def cut(peer: Any) -> None:
    await peer.recv()
    peer.transport.abort()


async def stop(peer: Any) -> None:
    await peer.recv()
    await peer.close(1001, "the service stops")


@FACES
@pytest.mark.parametrize("script, said", [(cut, "1006"), (stop, "the service stops (1001)")], ids=["cut", "closed"])
def test_a_call_under_which_the_connection_breaks_has_an_unknown_outcome(info: Callable[[str], None], script: Script, said: str) -> None:
    with fake(script) as server:
        with pytest.raises(IommudError) as caught:
            info(url(server))
    assert (caught.value.name, caught.value.errno) == ("ECONNRESET", 104)
    assert said in caught.value.message and "what the call did is unknown" in caught.value.message
    assert server.connections == 1


def answers(*frames: tuple[int, int, int, bytes]) -> Script:
    async def script(peer: Any) -> None:
        await peer.recv()
        await peer.send(packet(*frames))

    return script


def sends(data: bytes | str) -> Script:
    async def script(peer: Any) -> None:
        await peer.recv()
        await peer.send(data)

    return script


@FACES
@pytest.mark.parametrize(
    "script, code",
    [
        (answers((99, REPLY, b.MACHINE_INFO_REPLY, b"")), 1002),
        (answers((1, REPLY, b.CLOCK_INFO_REPLY, b"")), 1002),
        (sends(b"\x0a\xff\xff"), 1007),
        (sends(b"\x0a\x02\x08\x01"), 1007),
        (answers((1, EVENT, b.FAULT_EVENT, b"\xff\xff\xff")), 1007),
        (answers((0, EVENT, b.LOST, b"\xff")), 1007),
        (answers((1, CALL, b.REGION_READ, b"\xff")), 1007),
        (answers((1, CALL, b.MEMORY_WRITE, b"\xff")), 1007),
        (answers((1, REPLY, b.ERROR, b"\xff")), 1007),
        (sends("text"), 1003),
        (sends(bytes(2 << 20)), 1009),
    ],
    ids=["an answer to nothing", "another answer", "cut off", "no frame", "event", "lost", "access", "write", "error", "text", "too large"],
)
def test_what_the_server_may_not_send_closes_with_a_code_that_says_why(info: Callable[[str], None], script: Script, code: int) -> None:
    with fake(script) as server:
        with pytest.raises(IommudError) as caught:
            info(url(server))
        assert server.done.wait(10)
    assert caught.value.name in ("ECONNRESET", "EPROTO")
    assert server.close_code == code


@FACES
def test_an_answer_that_is_no_such_message_is_told_to_who_asked(info: Callable[[str], None]) -> None:
    with fake(answers((1, REPLY, b.MACHINE_INFO_REPLY, b"\xff\xff"))) as server:
        with pytest.raises(IommudError, match="the answer to a description of the machine is no such message") as caught:
            info(url(server))
    assert caught.value.name == "EPROTO"


@FACES
def test_frames_before_a_broken_one_count(info: Callable[[str], None]) -> None:
    reply = m.MachineInfoReply(name="m").SerializeToString()
    with fake(sends(packet((1, REPLY, b.MACHINE_INFO_REPLY, reply)) + b"\x0a\x02\x08\x01")) as server:
        info(url(server))
        assert server.done.wait(10)
    assert server.close_code == 1007


@FACES
def test_unknown_events_and_a_reply_in_fragments_are_fine(info: Callable[[str], None]) -> None:
    async def script(peer: Any) -> None:
        await peer.recv()
        await peer.send(packet((7, EVENT, 4000, b"\x08\x01")))
        whole = packet((1, REPLY, b.MACHINE_INFO_REPLY, m.MachineInfoReply(name="m").SerializeToString()))
        await peer.send([whole[:3], whole[3:8], whole[8:]])

    with fake(script) as server:
        info(url(server))


@FACES
def test_a_ping_is_answered_while_nobody_calls(info: Callable[[str], None]) -> None:
    async def script(peer: Any) -> None:
        await peer.recv()
        for _ in range(3):
            await asyncio.wait_for(await peer.ping(), 10)
        await peer.send(packet((1, REPLY, b.MACHINE_INFO_REPLY, b"")))

    with fake(script) as server:
        info(url(server))


@FACES
def test_an_unknown_call_of_the_server_is_answered_enosys(info: Callable[[str], None]) -> None:
    got: list[m.Error] = []

    async def script(peer: Any) -> None:
        await peer.recv()
        await peer.send(packet((5, CALL, 900, b"")))
        (answer,) = read_packet(await peer.recv())
        assert (answer.id, answer.kind, answer.number) == (5, REPLY, b.ERROR)
        got.append(m.Error.FromString(answer.body))
        await peer.send(packet((1, REPLY, b.MACHINE_INFO_REPLY, b"")))

    with fake(script) as server:
        info(url(server))
    assert (got[0].code, got[0].name) == (38, "ENOSYS")


@FACES
def test_what_stops_is_tried_again_until_it_is_there(info: Callable[[str], None]) -> None:
    """A port on which nobody listens at first."""

    async def script(peer: Any) -> None:
        await peer.recv()
        await peer.send(packet((1, REPLY, b.MACHINE_INFO_REPLY, b"")))

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    problems: list[BaseException] = []

    def run() -> None:
        try:
            info(f"ws://127.0.0.1:{port}/")
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    server = Fake(script)

    async def main() -> None:
        await asyncio.sleep(0.2)
        async with serve(server.serve, "127.0.0.1", port, subprotocols=["iommud.v1"]):  # type: ignore[list-item]
            await asyncio.to_thread(thread.join, 20)

    asyncio.run(main())
    assert problems == []


@FACES
def test_a_refused_hello_is_what_the_server_says(info: Callable[[str], None]) -> None:
    class Refusing(Fake):
        async def serve(self, peer: Any, *_: object) -> None:
            first = next(read_packet(await peer.recv()))
            body = m.Error(code=1, name="EPERM", message="no role that was wanted is allowed").SerializeToString()
            await peer.send(packet((first.id, REPLY, b.ERROR, body)))
            await peer.close(1008)

    server = Refusing(cut)
    loop_ready = threading.Event()
    ended = threading.Event()

    async def main() -> None:
        async with serve(server.serve, "127.0.0.1", 0, subprotocols=["iommud.v1"]) as listening:  # type: ignore[list-item]
            server.port = next(iter(listening.sockets)).getsockname()[1]
            loop_ready.set()
            await asyncio.to_thread(ended.wait, 20)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    loop_ready.wait(10)
    try:
        with pytest.raises(IommudError) as caught:
            info(url(server))
    finally:
        ended.set()
        thread.join(10)
    assert (caught.value.name, caught.value.message) == ("EPERM", "no role that was wanted is allowed")


def test_what_is_no_websocket_is_no_service() -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        peer, _ = listening.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    thread = threading.Thread(target=answer)
    thread.start()
    with listening, pytest.raises(IommudError) as caught:
        iommud.connect(f"ws://127.0.0.1:{listening.getsockname()[1]}/", deadline=5)
    thread.join(10)
    assert caught.value.name == "EPROTO"
    assert "HTTP 200" in caught.value.message
