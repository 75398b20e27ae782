"""A connection for asyncio. What is made in one turn of the loop travels in one packet."""

from __future__ import annotations

import asyncio
import secrets
import time
from types import TracebackType
from typing import Any, Callable, Generator, Generic, Iterable, Mapping, Sequence, TypeVar
from urllib.parse import urlsplit

from ..core.batch import Batch
from ..core.claim import Terms
from ..core.events import QUEUES, heard, lost_events
from ..core.frames import FrameError
from ..core.hello import Granted, hello, is_transient, redirected, refusal
from ..core.operation import Operation, outcome_of
from ..core.peer import DEVICE_CALLS, MEMORY_CALLS
from ..core.session import Call, Event, PeerCall, Reply, Session, undecodable
from ..core.socket import Closed, WebSocket, keep_alive
from ..errors import IommudError, NotConnected, error, invalid, lost
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import AtcOwner, ConfigKeeper, Role
from .claims import ClaimedFunction, Claims, Device, OwnedMemory, Owner
from .machine import Machine
from .queue import EventQueue

T = TypeVar("T")

_REDIRECTS_MAX = 3
_BACKOFF_S = 0.05
_BACKOFF_MAX_S = 1.0
_CLOSE_S = 2.0


class Pending(Generic[T]):
    """A call that was made and is not waited for yet. `await` gives its result."""

    def __init__(self, connection: Connection, operation: Operation[T]) -> None:
        self._connection = connection
        self._operation = operation
        self._outcome: asyncio.Future[Reply | IommudError] = asyncio.get_running_loop().create_future()
        self._told: list[Callable[[], object]] = []
        self._call = Call(operation.number, operation.body, operation.data, operation.reply_bytes, self._put)

    @property
    def done(self) -> bool:
        return self._outcome.done()

    def __await__(self) -> Generator[Any, None, T]:
        return self.result().__await__()

    async def result(self, timeout: float | None = None) -> T:
        """What the call gave. ETIMEDOUT: nothing in so many seconds (None: the connection's); it goes on, and may be asked again."""
        seconds = self._connection.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                outcome = await asyncio.shield(self._outcome)
        except TimeoutError:
            raise error("ETIMEDOUT", f"no answer to {self._operation.what} within {seconds} s", self._operation.what) from None
        return outcome_of(self._operation, outcome)

    def cancel(self) -> None:
        """Nobody waits for it any more: what it did is unknown."""
        if not self._outcome.done():
            self._connection.give_up([self._call])
            self._put(error("ECANCELED", f"{self._operation.what} was given up; what it did is unknown"))

    def _when(self, told: Callable[[], object]) -> None:
        """Is told, once, in the turn in which the answer comes: before anything that came behind it."""
        self._told.append(told)
        if self._outcome.done():
            self._tell()

    def _tell(self) -> None:
        while self._told:
            self._told.pop(0)()

    def _put(self, outcome: Reply | IommudError) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)
            self._tell()


class Connection:
    """A connection to one machine, in the roles that were granted. `async with` closes it."""

    def __init__(self, web: WebSocket, timeout: float | None, token_prefix: str | None) -> None:
        self.timeout = timeout
        """How long a call may take, wall clock, in seconds; None: any time."""
        self._web = web
        self._session = Session()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[Closed] = self._loop.create_future()
        self._flushing = False
        self._granted: Granted | None = None
        self._prefix = secrets.token_hex(8) if token_prefix is None else token_prefix
        self._tokens = 0
        self.draining_ms: int | None = None
        """Wall-clock milliseconds that a stopping server gave, once it said so."""
        self.listener: Callable[[str, object], None] | None = None
        """Is told of every event, by the name of its queue, in order."""
        self.queues: dict[str, EventQueue[Any]] = {name: EventQueue(name.replace("_", " ")) for name in QUEUES}
        self.claims = Claims(self)
        self.machine = Machine(self)

    async def begin(self, roles: Sequence[Role], token: str | None) -> None:
        """The first exchange."""
        await self._opened
        reply = await self.ask(hello(roles, token))
        self._session.start(reply)
        self._granted = Granted.of(reply)

    @property
    def granted(self) -> Granted:
        assert self._granted is not None
        return self._granted

    @property
    def closed(self) -> Closed | None:
        """How it ended; None while it has not."""
        return self._gone.result() if self._gone.done() else None

    async def wait_closed(self, timeout: float | None = None) -> Closed:
        """Returns when the connection has ended: for a program that only answers. ETIMEDOUT: it has not in so many seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(self._gone)
        except TimeoutError:
            raise error("ETIMEDOUT", f"the connection has not ended within {timeout} s") from None

    def start(self, operation: Operation[T]) -> Pending[T]:
        """Makes a call, and does not wait for it. Calls of one class take effect in the order in which they were made."""
        pending = Pending(self, operation)
        self._session.make(pending._call)
        self._flush_soon()
        return pending

    async def ask(self, operation: Operation[T]) -> T:
        """Makes a call and waits for its reply. ETIMEDOUT, or a task that is cancelled: what it did is unknown."""
        pending = self.start(operation)
        try:
            return await pending.result()
        except BaseException:
            if not pending.done:
                self.give_up([pending._call])
            raise

    async def ask_all(self, operations: Sequence[Operation[T]]) -> list[T]:
        """Makes many calls at once and waits for all replies."""
        if not operations:
            return []
        finished: asyncio.Future[None] = self._loop.create_future()
        batch = Batch(operations, lambda: None if finished.done() else finished.set_result(None))
        for call in batch.calls:
            self._session.make(call)
        self._flush_soon()
        try:
            async with asyncio.timeout(self.timeout):
                await finished
        except TimeoutError:
            what = batch.waits_for()
            self.give_up(batch.calls)
            raise error("ETIMEDOUT", f"no answer to {what} within {self.timeout} s", what) from None
        except BaseException:
            self.give_up(batch.calls)
            raise
        return batch.results()

    async def call(self, name: str, request: m.Message, data: bytes | None = None, reply_bytes: int = 0) -> tuple[m.Message, bytes | None]:
        """Any call of the contract by its name in frame.proto, such as `ioas_alloc`; `reply_bytes` is what it asks for in `data`."""
        number = b.CALLS.get(name)
        if number is None:
            raise invalid("name", f"{name!r} is no call of the contract")
        parse = b.MESSAGES[number + 1].FromString
        return await self.ask(
            Operation(number, request.SerializeToString(), lambda got: (parse(got.body), got.data), name, data, reply_bytes)
        )

    def post(self, operation: Operation[Any]) -> None:
        """A call that gets no reply."""
        self._session.post(operation.number, operation.body, operation.data)
        self._flush_soon()

    def answer(self, call: PeerCall, outcome: tuple[bytes, bytes | None] | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self._session.refuse(call, outcome)
        else:
            self._session.answer(call, *outcome)
        self._flush_soon()

    def give_up(self, calls: Iterable[Call]) -> None:
        for call in calls:
            if call.done is not None:
                self._session.cancel(call)
        self._flush_soon()

    async def claim(
        self,
        bdf: str,
        device: Device,
        *,
        config: ConfigKeeper | None = None,
        declare: Mapping[str, object] | None = None,
        posted_writes: bool | None = None,
        widths: Sequence[int] | None = None,
        atc: AtcOwner | None = None,
        reset_deadline_ms: int | None = None,
    ) -> ClaimedFunction:
        """Is a `remote` function: its accesses and resets come to `device`. `config="emulator"`: those of configuration space too, as region 7.
        `declare`: what it is, as an entry of `functions` in a topology (`{"vendor": "0x1234", "bars": [{"bar": 0, "size": "4KiB"}]}`); where something else stands
        in the slot it is replaced; absent: what stands there.
        `posted_writes`: writes to BARs are not answered, and hosts do not wait for them. `widths`: of BAR accesses that it takes; all when absent.
        `atc="peer"`: this program caches the function's translations, by `ats` and `Device.invalidate`.
        `reset_deadline_ms`: how long a reset may take to be answered, wall clock, 1 to 600000; 30000 when absent.

        Needs the device role. Errors: ENODEV, EBUSY (claimed by another), EOPNOTSUPP (not a remote function), EPERM, EEXIST (claimed here), EINVAL.
        """
        terms = Terms(config, declare, posted_writes, widths, atc, reset_deadline_ms)
        return await self.claims.claim(bdf, device, terms)

    async def plug(
        self,
        port: str,
        device: Device,
        *,
        declare: Mapping[str, object],
        config: ConfigKeeper | None = None,
        posted_writes: bool | None = None,
        widths: Sequence[int] | None = None,
        atc: AtcOwner | None = None,
        reset_deadline_ms: int | None = None,
    ) -> ClaimedFunction:
        """Is a function that comes with this claim, into the empty slot of a root or downstream port, and goes with it. Its `address` may leave out the bus.
        Errors: as `claim`; EBUSY (the slot has something)."""
        terms = Terms(config, declare, posted_writes, widths, atc, reset_deadline_ms)
        return await self.claims.plug(port, device, terms)

    async def own_memory(self, address: int, size: int, owner: Owner, *, depth: int | None = None) -> OwnedMemory:
        """Owns a range of guest memory, multiples of 4096: what the server reads and writes there comes to `owner`, `depth` accesses at once (16). Needs
        the memory role. Errors: EINVAL (alignment), EADDRINUSE (overlaps), EPERM."""
        return await self.claims.own(address, size, owner, depth)

    def next_token(self) -> str:
        self._tokens += 1
        return f"{self._prefix}-{self._tokens}"

    async def close(self) -> None:
        """Pending calls get ECONNRESET."""
        self._flush()
        self._web.close(1000, "closed by this client")
        self._flush()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.shield(self._gone)
        except TimeoutError:
            pass
        self.end(Closed(1000, "closed by this client"))

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def opened_over(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        keep_alive(transport.get_extra_info("socket"))
        self._flush()

    def fail_to_open(self, problem: Exception) -> None:
        if not self._opened.done():
            self._opened.set_exception(problem)

    def take(self, data: bytes) -> None:
        """Bytes from the network; b"" is their end."""
        try:
            self._web.feed(data)
            messages = self._web.messages()
        except NotConnected as problem:
            self.fail_to_open(problem)
            if self._transport is not None:
                self._transport.abort()
            return
        if self._web.opened and not self._opened.done():
            self._opened.set_result(None)
        broken: FrameError | None = None
        try:
            for message in messages:
                self._session.receive(message)
        except FrameError as problem:
            broken = problem
        # What came before the frame that is broken counts.
        try:
            for one in self._session.heard():
                self._heed(one)
        except FrameError as problem:
            broken = broken or problem
        except m.DecodeError as problem:
            broken = broken or undecodable(problem)
        if broken is not None:
            self._web.close(broken.close_code, str(broken))
            self._session.end(lost(f"{broken} ({broken.close_code})"))
        self._flush()

    def _heed(self, one: Event | PeerCall) -> None:
        if isinstance(one, Event):
            self._hear(one)
        elif one.number in DEVICE_CALLS or one.number in MEMORY_CALLS:
            self.claims.take(one)
        else:
            self.answer(one, error("ENOSYS", f"this client does not know call {one.number}"))

    def end(self, how: Closed) -> None:
        if self._gone.done():
            return
        self._gone.set_result(how)
        self.fail_to_open(NotConnected(str(how)))
        # Nobody may wait for it.
        self._opened.exception()
        self._session.end(lost(str(how)))
        if self._transport is not None:
            self._transport.abort()
        self.claims.end()
        for queue in self.queues.values():
            queue.end(error("ECONNRESET", f"no more events: {how}"))

    def broken(self, problem: Exception | None) -> None:
        self.end(self._web.closed("" if problem is None else str(problem)))

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        for packet in self._session.packets():
            self._web.send(packet)
        out = self._web.outgoing()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        for part in out:
            if part:
                transport.write(part)
            elif transport.can_write_eof():
                transport.write_eof()

    def _hear(self, event: Event) -> None:
        if event.number == b.LOST:
            for queue in self.queues.values():
                queue.miss(lost_events(event.body))
        elif event.number == b.DRAINING:
            self.draining_ms = m.Draining.FromString(event.body).deadline_ms
        else:
            known = heard(event.number, event.body)
            if known is not None:
                if self.listener is not None:
                    self.listener(known.queue, known.event)
                self.queues[known.queue].put(known.event)


class _Network(asyncio.Protocol):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._connection.opened_over(transport)

    def data_received(self, data: bytes) -> None:
        self._connection.take(data)

    def eof_received(self) -> None:
        self._connection.take(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.broken(exc)


async def connect(
    url: str,
    roles: Sequence[Role] = ("host",),
    *,
    token: str | None = None,
    deadline: float = 10.0,
    retry: bool = True,
    timeout: float | None = 60.0,
    token_prefix: str | None = None,
) -> Connection:
    """Connects to a machine by its socket URL, trying again for `deadline` seconds until there is a service.

    `timeout`: of every call, in seconds. `token_prefix`: what the tokens of its reset windows begin with; nobody else may use it on this machine.
    Errors: ETIMEDOUT (no connection until the deadline), ECONNRESET (none at the only try), EPERM (token, roles), ENODEV (no such machine), EINVAL.
    """
    until = time.monotonic() + deadline
    pause = _BACKOFF_S
    while True:
        try:
            async with asyncio.timeout(max(0.001, until - time.monotonic())):
                return await _connect_once(url, roles, token, timeout, token_prefix)
        except (OSError, NotConnected, IommudError) as problem:
            if not (retry and (isinstance(problem, OSError) or is_transient(problem))):
                raise refusal(problem, url) from problem
            if time.monotonic() + pause >= until:
                raise error("ETIMEDOUT", f"no connection to {url} within {deadline} s: {problem}", url) from problem
        await asyncio.sleep(pause)
        pause = min(pause * 2, _BACKOFF_MAX_S)


async def _connect_once(url: str, roles: Sequence[Role], token: str | None, timeout: float | None, token_prefix: str | None) -> Connection:
    home = urlsplit(url).netloc
    for _ in range(_REDIRECTS_MAX + 1):
        web = WebSocket(url, token if urlsplit(url).netloc == home else None)
        connection = Connection(web, timeout, token_prefix)
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Network(connection), web.host, web.port)
            await connection.begin(roles, token)
        except NotConnected as problem:
            await connection.close()
            if problem.location is None:
                raise
            url = redirected(url, problem.location)
            continue
        except BaseException:
            await connection.close()
            raise
        return connection
    raise NotConnected(f"more than {_REDIRECTS_MAX} redirects")
