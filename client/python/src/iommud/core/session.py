"""The contract over one socket, without the socket: calls and their replies, events, the server's calls."""

from __future__ import annotations

from typing import Callable, Final, NamedTuple, cast

from ..errors import IommudError, error, invalid
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import ERROR_CODE
from .credits import CONTROL, Credits
from .frames import CALL, CANCEL, EVENT, REPLY, Frame, FrameError, PacketWriter, read_packet
from .limits import ERROR_ABOUT_CHARS_MAX, ERROR_MESSAGE_CHARS_MAX, RECEIVE_BUFFER_BYTES_MAX

_ORDER: Final = 1002
_UNDECODABLE: Final = 1007
_POSTED: Final = 0
# What a message counts besides its data, and the part of what the server lets gather unhandled that posted calls may be.
_FRAME_BYTES: Final = 256
_POSTED_PART: Final = 8


class Reply(NamedTuple):
    body: bytes
    data: bytes | None


class Call:
    """A call from the moment when it is made."""

    __slots__ = ("number", "body", "data", "credit_class", "reply_bytes", "sent_bytes", "id", "behind", "done")

    def __init__(self, number: int, body: bytes, data: bytes | None, reply_bytes: int, done: Callable[[Reply | IommudError], None]) -> None:
        self.number = number
        self.body = body
        self.data = data
        self.credit_class = b.CLASSES.get(number, CONTROL)
        self.reply_bytes = reply_bytes
        self.sent_bytes = 0 if data is None else len(data)
        # 0 until it is sent.
        self.id = 0
        # Bytes of posted calls that were sent before it.
        self.behind = 0
        # Given the reply, once; None when nobody waits any more.
        self.done: Callable[[Reply | IommudError], None] | None = done


class PeerCall(NamedTuple):
    """A call of the server to a role of this end. Exactly one answer is due, unless its id is 0."""

    id: int
    number: int
    body: bytes
    data: bytes | None


class Event(NamedTuple):
    number: int
    body: bytes


class Session:
    """Not for several threads at once: whoever owns the socket guards it."""

    def __init__(self) -> None:
        self._writer = PacketWriter()
        self._credits = Credits()
        self._outstanding: dict[int, Call] = {}
        self._free: list[int] = []
        self._ids = 0
        # Bytes of posted calls, and how many of them are known to be handled, because a call that was sent behind them is answered.
        self._posted = 0
        self._handled = 0
        self._posted_max = RECEIVE_BUFFER_BYTES_MAX // _POSTED_PART
        self._asked = False
        self._ended: IommudError | None = None
        self._heard: list[Event | PeerCall] = []

    def start(self, hello: m.HelloReply) -> None:
        """What the first exchange gave: from now on other calls may go."""
        limits = hello.limits
        self._writer.limit(limits.frame_bytes_max, limits.packet_bytes_max, limits.packet_frames_max)
        grants = [(int(getattr(credit, "class")), credit.calls, credit.reply_bytes) for credit in hello.credits]
        self._credits.grant(grants, limits.receive_buffer_bytes_max)
        self._posted_max = (limits.receive_buffer_bytes_max or RECEIVE_BUFFER_BYTES_MAX) // _POSTED_PART

    def make(self, call: Call) -> None:
        """Sends a call, now or when there is credit for it."""
        if self._ended is not None:
            self._settle(call, self._ended)
        elif self._credits.take_or_wait(call):
            self._send(call)

    def cancel(self, call: Call) -> None:
        """Nobody waits for the call any more, and the server is told; its id and credit stay taken until the reply."""
        call.done = None
        if call.id == 0:
            self._credits.forget(call)
        elif self._outstanding.get(call.id) is call and self._ended is None:
            self._writer.add(call.id, CANCEL, 0, b"")

    def post(self, number: int, body: bytes, data: bytes | None) -> None:
        """A call that gets no reply. EAGAIN: so much of them is on its way that the server would end the connection; await some answer first."""
        if self._ended is not None:
            raise self._ended.again()
        size = _FRAME_BYTES + (0 if data is None else len(data))
        unhandled = self._posted - self._handled
        if unhandled and unhandled + size > self._posted_max:
            raise error("EAGAIN", f"{unhandled} bytes of posted calls are on their way; await an answer of the server first")
        try:
            self._writer.add(_POSTED, CALL, number, body, data)
        except FrameError as problem:
            raise invalid("data", f"cannot be sent: {problem}") from problem
        self._posted += size
        if not self._asked and unhandled + size > self._posted_max // 2:
            # Its answer tells that they have been handled.
            self._asked = True
            self.make(Call(b.CLOCK_INFO, b"", None, 0, self._told))

    def answer(self, call: PeerCall, body: bytes = b"", data: bytes | None = None) -> None:
        if call.id == _POSTED or self._ended is not None:
            return
        try:
            self._writer.add(call.id, REPLY, call.number + 1, body, data)
        except FrameError as problem:
            self.refuse(call, error("EIO", str(problem)))

    def refuse(self, call: PeerCall, problem: BaseException) -> None:
        """Answers with an error: one that is no IommudError is EIO."""
        if call.id == _POSTED or self._ended is not None:
            return
        given = problem if isinstance(problem, IommudError) else error("EIO", f"{type(problem).__name__}: {problem}")
        body = m.Error(
            code=given.errno,
            name=given.name,
            message=given.message[:ERROR_MESSAGE_CHARS_MAX],
            about=given.field[:ERROR_ABOUT_CHARS_MAX],
        )
        self._writer.add(call.id, REPLY, b.ERROR, body.SerializeToString())

    def receive(self, packet: bytes) -> None:
        """Takes a message of the server. FrameError: close with its code."""
        for frame in read_packet(packet):
            if frame.kind == REPLY:
                self._reply(frame)
            elif frame.kind == EVENT:
                self._heard.append(Event(frame.number, frame.body))
            elif frame.kind == CALL:
                self._heard.append(PeerCall(frame.id, frame.number, frame.body, frame.data))
            # A cancel is advice: a call of the server is answered in any case.

    def heard(self) -> list[Event | PeerCall]:
        """Events and calls that have come since, in order."""
        heard, self._heard = self._heard, []
        return heard

    def packets(self) -> list[bytes]:
        """What is to be sent, each a message."""
        return self._writer.take()

    def end(self, why: IommudError) -> None:
        """There will be no replies: every call gets this."""
        if self._ended is not None:
            return
        self._ended = why
        waiting = [*self._outstanding.values(), *(cast(Call, call) for call in self._credits.drain())]
        self._outstanding.clear()
        for call in waiting:
            self._settle(call, why)

    def _told(self, _outcome: Reply | IommudError) -> None:
        self._asked = False

    def _send(self, call: Call) -> None:
        call.behind = self._posted
        call.id = self._free.pop() if self._free else self._next_id()
        try:
            self._writer.add(call.id, CALL, call.number, call.body, call.data)
        except FrameError as problem:
            self._free.append(call.id)
            self._credits.give(call)
            self._settle(call, invalid("data", f"cannot be sent: {problem}"))
            return
        self._outstanding[call.id] = call

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids

    def _reply(self, frame: Frame) -> None:
        call = self._outstanding.pop(frame.id, None)
        if call is None:
            raise FrameError(_ORDER, f"a reply to call {frame.id}, which is not outstanding")
        self._free.append(frame.id)
        self._credits.give(call)
        if call.behind > self._handled:
            self._handled = call.behind
        if frame.number == call.number + 1:
            self._settle(call, Reply(frame.body, frame.data))
        elif frame.number == b.ERROR:
            try:
                problem = error_of(frame.body)
            except m.DecodeError as broken:
                self._settle(call, error("EPROTO", "the server's error is no such message"))
                raise undecodable(broken) from broken
            self._settle(call, problem)
        else:
            self._settle(call, error("EPROTO", f"the server answered with body {frame.number}"))
            raise FrameError(_ORDER, f"call {frame.id} of body {call.number} was answered with body {frame.number}")
        following = self._credits.next(call.credit_class)
        while following is not None:
            self._send(cast(Call, following))
            following = self._credits.next(call.credit_class)

    @staticmethod
    def _settle(call: Call, outcome: Reply | IommudError) -> None:
        done, call.done = call.done, None
        if done is not None:
            done(outcome)


def undecodable(problem: m.DecodeError) -> FrameError:
    """A body that is not its message ends the connection."""
    return FrameError(_UNDECODABLE, f"not a message: {problem}")


def error_of(body: bytes) -> IommudError:
    """A code that this client does not know keeps its number and its name."""
    refusal = m.Error.FromString(body)
    name = refusal.name or ERROR_CODE.name_of(refusal.code)
    return IommudError(refusal.code, name, refusal.message, refusal.about, refusal.elapsed_ns)
