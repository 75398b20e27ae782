"""Calls, credits and replies without a socket: the other end is this test."""

import random
from functools import partial

import pytest

from iommud.core.credits import ACCESS, CONTROL, DMA, MEMORY
from iommud.core.frames import CALL, CANCEL, EVENT, REPLY, Frame, FrameError, PacketWriter, read_packet
from iommud.core.session import Call, Event, PeerCall, Reply, Session
from iommud.errors import IommudError, error, lost
from iommud.gen import bodies as b
from iommud.gen import messages as m


class Server:
    """The other end of a session: what it has been sent, and what it holds against its credits."""

    def __init__(self, *credits: m.Credit, limits: m.Limits | None = None) -> None:
        self.session = Session()
        self.session.start(m.HelloReply(credits=credits, limits=limits))
        self.settled: list[tuple[int, Reply | IommudError]] = []
        self.unanswered: list[Frame] = []
        self._names = 0

    def call(self, number: int = b.CLOCK_INFO, data: bytes | None = None, reply_bytes: int = 0) -> Call:
        name = self._names
        self._names += 1
        call = Call(number, b"", data, reply_bytes, lambda outcome: self.settled.append((name, outcome)))
        self.session.make(call)
        return call

    def settle(self, name: int, outcome: Reply | IommudError) -> None:
        self.settled.append((name, outcome))

    def take(self) -> list[Frame]:
        """What has come since."""
        frames = [frame for packet in self.session.packets() for frame in read_packet(packet)]
        self.unanswered += [frame for frame in frames if frame.kind == CALL]
        return frames

    def answer(self, frame: Frame, number: int | None = None, body: bytes = b"", data: bytes | None = None) -> None:
        if frame in self.unanswered:
            self.unanswered.remove(frame)
        self.send(frame.id, REPLY, frame.number + 1 if number is None else number, body, data)

    def send(self, id: int, kind: int, number: int, body: bytes = b"", data: bytes | None = None) -> None:
        writer = PacketWriter()
        writer.add(id, kind, number, body, data)
        for packet in writer.take():
            self.session.receive(packet)


def credit(credit_class: int, calls: int, reply_bytes: int = 0) -> m.Credit:
    return m.Credit(**{"class": credit_class}, calls=calls, reply_bytes=reply_bytes)


def test_a_call_beyond_the_credits_waits_for_a_reply() -> None:
    server = Server(credit(CONTROL, 2))
    for _ in range(5):
        server.call()
    first, second = server.take()
    assert server.take() == []
    server.answer(second)
    (third,) = server.take()
    server.answer(first)
    server.answer(third)
    assert len(server.take()) == 2
    assert [name for name, _ in server.settled] == [1, 0, 2]


def test_classes_do_not_wait_for_each_other() -> None:
    server = Server(credit(CONTROL, 1), credit(ACCESS, 1), credit(DMA, 1), credit(MEMORY, 1))
    numbers = [b.CLOCK_INFO, b.REGION_READ, b.MODEL_DMA, b.MEMORY_READ]
    for number in numbers * 2:
        server.call(number)
    assert [frame.number for frame in server.take()] == numbers


def test_reply_bytes_are_counted_and_a_call_alone_may_ask_for_more() -> None:
    server = Server(credit(MEMORY, 100, 1000))
    for size in (2000, 600, 600, 300):
        server.call(b.MEMORY_READ, reply_bytes=size)
    (alone,) = server.take()
    server.answer(alone)
    (second,) = server.take()
    server.answer(second)
    assert len(server.take()) == 2


def test_bytes_that_wait_unhandled_stay_below_the_servers_bound() -> None:
    server = Server(credit(MEMORY, 100), limits=m.Limits(receive_buffer_bytes_max=8000))
    for _ in range(4):
        server.call(b.MEMORY_WRITE, data=bytes(400))
    assert len(server.take()) == 2
    for frame in list(server.unanswered):
        server.answer(frame)
    assert len(server.take()) == 2
    server.call(b.MEMORY_WRITE, data=bytes(5000))
    assert server.take() == []
    for frame in list(server.unanswered):
        server.answer(frame)
    assert [len(frame.data or b"") for frame in server.take()] == [5000]


@pytest.mark.parametrize("seed", range(30))
def test_no_order_of_replies_ever_takes_more_than_was_granted(seed: int) -> None:
    """Against the server's own arithmetic: proto/credits.ts."""
    rng = random.Random(seed)
    granted = {CONTROL: (3, 0), ACCESS: (5, 400), DMA: (4, 1000), MEMORY: (2, 500)}
    server = Server(*(credit(at, *grant) for at, grant in granted.items()))
    numbers = {CONTROL: b.CLOCK_INFO, ACCESS: b.CONFIG_READ, DMA: b.DMA_READ, MEMORY: b.MEMORY_READ}
    class_of = {number: at for at, number in numbers.items()}
    made = 0
    while len(server.settled) < 200:
        if made < 200 and rng.random() < 0.6:
            number = numbers[rng.choice(list(numbers))]
            size = 0 if number == b.CLOCK_INFO else rng.choice((1, 100, 450, 1200))
            body = m.MemoryRead(bytes=size).SerializeToString()
            server.session.make(Call(number, body, None, size, partial(server.settle, made)))
            made += 1
        server.take()
        for at, (calls, reply_bytes) in granted.items():
            held = [frame for frame in server.unanswered if class_of[frame.number] == at]
            sizes = [m.MemoryRead.FromString(frame.body).bytes for frame in held]
            assert len(held) <= calls
            assert sum(sizes) <= reply_bytes or len([size for size in sizes if size]) == 1
        if server.unanswered and rng.random() < 0.5:
            server.answer(rng.choice(server.unanswered))
    assert sorted(name for name, _ in server.settled) == list(range(200))


def test_ids_are_not_in_use_twice_and_are_used_again() -> None:
    server = Server()
    for _ in range(40):
        server.call()
    ids = [frame.id for frame in server.take()]
    assert sorted(ids) == list(range(1, 41))
    for frame in list(server.unanswered):
        server.answer(frame)
    server.call()
    assert server.take()[0].id <= 40


def test_an_error_reply_is_typed() -> None:
    server = Server()
    server.call()
    body = m.Error(code=16, name="EBUSY", message="a window is open", about="domain", elapsed_ns=7).SerializeToString()
    server.answer(server.take()[0], b.ERROR, body)
    ((_, problem),) = server.settled
    assert isinstance(problem, IommudError)
    assert (problem.errno, problem.name, problem.message, problem.field, problem.elapsed_ns) == (
        16,
        "EBUSY",
        "a window is open",
        "domain",
        7,
    )
    server.call()
    server.answer(server.take()[0], b.ERROR, m.Error(code=999, name="ENEW").SerializeToString())
    assert isinstance(server.settled[1][1], IommudError) and server.settled[1][1].errno == 999


@pytest.mark.parametrize("id, number", [(77, b.CLOCK_INFO_REPLY), (0, b.CLOCK_INFO_REPLY), (1, b.MACHINE_INFO_REPLY)])
def test_an_answer_to_nothing_or_of_another_kind_ends_the_connection(id: int, number: int) -> None:
    server = Server()
    server.call()
    server.take()
    with pytest.raises(FrameError) as caught:
        server.send(id, REPLY, number)
    assert caught.value.close_code == 1002


def test_a_second_answer_ends_the_connection() -> None:
    server = Server()
    server.call()
    (frame,) = server.take()
    server.answer(frame)
    with pytest.raises(FrameError):
        server.answer(frame)


def test_a_call_that_is_given_up_keeps_its_id_and_credit_until_the_reply() -> None:
    server = Server(credit(CONTROL, 1))
    call = server.call()
    waiting = server.call()
    server.call()
    (frame,) = server.take()
    server.session.cancel(call)
    server.session.cancel(waiting)
    (cancel,) = server.take()
    assert (cancel.kind, cancel.id) == (CANCEL, frame.id)
    server.answer(frame)
    (third,) = server.take()
    assert server.settled == []
    server.answer(third)
    assert [name for name, _ in server.settled] == [2]


def test_a_broken_connection_settles_what_waits_and_what_was_sent_once() -> None:
    server = Server(credit(CONTROL, 1))
    for _ in range(3):
        server.call()
    server.take()
    server.session.end(lost("pulled out"))
    server.session.end(lost("again"))
    assert [name for name, _ in server.settled] == [0, 1, 2]
    assert all(isinstance(one, IommudError) and one.name == "ECONNRESET" and "pulled out" in one.message for _, one in server.settled)
    server.call()
    assert len(server.settled) == 4
    assert server.take() == []


def test_what_cannot_be_sent_is_told_and_takes_nothing() -> None:
    server = Server(credit(MEMORY, 1), limits=m.Limits(frame_bytes_max=4096))
    server.call(b.MEMORY_WRITE, data=bytes(5000))
    assert server.take() == []
    problem = server.settled[0][1]
    assert isinstance(problem, IommudError) and (problem.name, problem.field) == ("EINVAL", "data")
    server.call(b.MEMORY_WRITE, data=bytes(5))
    assert len(server.take()) == 1


def test_events_and_calls_of_the_server_are_heard_in_order() -> None:
    server = Server()
    server.send(1, EVENT, b.LOG_EVENT, b"x")
    server.send(3, CALL, b.REGION_READ, b"y")
    server.send(0, CALL, b.REGION_WRITE, b"z")
    server.send(9, CANCEL, 0)
    assert server.session.heard() == [
        Event(b.LOG_EVENT, b"x"),
        PeerCall(3, b.REGION_READ, b"y", None),
        PeerCall(0, b.REGION_WRITE, b"z", None),
    ]
    assert server.session.heard() == []


def test_answers_have_the_calls_number_plus_one_or_are_errors_and_posted_calls_get_none() -> None:
    server = Server()
    call = PeerCall(3, b.MEMORY_READ, b"", None)
    server.session.answer(call, b"", b"data")
    server.session.refuse(call, error("EBUSY", "later", "x" * 500))
    server.session.refuse(call, ZeroDivisionError("division by zero"))
    server.session.answer(call, b"", bytes(2 << 20))
    server.session.answer(PeerCall(0, b.REGION_WRITE, b"", None))
    server.session.refuse(PeerCall(0, b.REGION_WRITE, b"", None), error("EIO", ""))
    good, busy, broken, large = server.take()
    assert (good.id, good.kind, good.number, good.data) == (3, REPLY, b.MEMORY_READ_REPLY, b"data")
    assert busy.number == broken.number == large.number == b.ERROR
    said = [m.Error.FromString(frame.body) for frame in (busy, broken, large)]
    assert [one.name for one in said] == ["EBUSY", "EIO", "EIO"]
    assert len(said[0].about) == 128
    assert said[1].message == "ZeroDivisionError: division by zero"


def test_posted_calls_stay_below_what_the_server_lets_gather() -> None:
    server = Server(limits=m.Limits(receive_buffer_bytes_max=8 * 10_000))
    for _ in range(5):
        server.session.post(b.DMA_WRITE, b"", bytes(1000))
    # Behind half of it the session asks by itself whether they were handled.
    asked = [frame for frame in server.take() if frame.id]
    assert [frame.number for frame in asked] == [b.CLOCK_INFO]
    for _ in range(2):
        server.session.post(b.DMA_WRITE, b"", bytes(1000))
    with pytest.raises(IommudError) as caught:
        for _ in range(2):
            server.session.post(b.DMA_WRITE, b"", bytes(1000))
    assert caught.value.name == "EAGAIN"
    server.answer(asked[0])
    server.session.post(b.DMA_WRITE, b"", bytes(1000))
    assert server.settled == []


def test_one_posted_call_may_be_of_any_size() -> None:
    server = Server(limits=m.Limits(receive_buffer_bytes_max=8000))
    server.session.post(b.DMA_WRITE, b"", bytes(5000))
    with pytest.raises(IommudError):
        server.session.post(b.DMA_WRITE, b"", bytes(10))
    with pytest.raises(IommudError) as caught:
        server.session.post(b.DMA_WRITE, b"", bytes(2 << 20))
    assert caught.value.name in ("EAGAIN", "EINVAL")
