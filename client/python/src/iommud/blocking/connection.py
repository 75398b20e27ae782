"""A connection that blocks its callers. A thread of it reads: it answers pings, and tells events while nobody calls."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from types import TracebackType
from typing import Any, Callable, Generic, Iterable, Mapping, Sequence, TypeVar
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

_RECEIVE_BYTES = 1 << 18
_REDIRECTS_MAX = 3
_BACKOFF_S = 0.05
_BACKOFF_MAX_S = 1.0
_CLOSE_S = 2.0


class Pending(Generic[T]):
    """A call that was made and is not waited for yet."""

    def __init__(self, connection: Connection, operation: Operation[T]) -> None:
        self._connection = connection
        self._operation = operation
        self._outcome: Reply | IommudError | None = None
        self._told: list[Callable[[], object]] = []
        # Free when there is an outcome.
        self._waiting = threading.Lock()
        self._waiting.acquire()
        self._call = Call(operation.number, operation.body, operation.data, operation.reply_bytes, self._put)

    @property
    def done(self) -> bool:
        return self._outcome is not None

    def result(self, timeout: float | None = None) -> T:
        """What the call gave. ETIMEDOUT: nothing in so many seconds (None: the connection's); it goes on, and may be asked again."""
        seconds = self._connection.timeout if timeout is None else timeout
        if not self._waiting.acquire(timeout=-1 if seconds is None else seconds):
            raise error("ETIMEDOUT", f"no answer to {self._operation.what} within {seconds} s", self._operation.what)
        self._waiting.release()
        assert self._outcome is not None
        return outcome_of(self._operation, self._outcome)

    def cancel(self) -> None:
        """Nobody waits for it any more: what it did is unknown."""
        if self._outcome is None:
            self._connection.give_up([self._call])
            self._put(error("ECANCELED", f"{self._operation.what} was given up; what it did is unknown"))

    def _when(self, told: Callable[[], object]) -> None:
        """Is told, once, by the thread that reads: before anything that came behind the answer."""
        self._told.append(told)
        if self._outcome is not None:
            self._tell()

    def _tell(self) -> None:
        # Two threads may be here: each takes what the other has not.
        while self._told:
            try:
                told = self._told.pop(0)
            except IndexError:
                return
            told()

    def _put(self, outcome: Reply | IommudError) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._waiting.release()
            self._tell()


class Connection:
    """A connection to one machine, in the roles that were granted. `with` closes it."""

    def __init__(self, sock: socket.socket, web: WebSocket, timeout: float | None, token_prefix: str | None) -> None:
        self.timeout = timeout
        """How long a call may take, wall clock, in seconds; None: any time."""
        self._socket = sock
        self._web = web
        self._session = Session()
        # Of the websocket and the session; taken behind _sending where both are.
        self._state = threading.Lock()
        self._sending = threading.Lock()
        self._closed: Closed | None = None
        self._ended = threading.Event()
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
        self._reader = threading.Thread(target=self._read, name="iommud-reader", daemon=True)

    def begin(self, roles: Sequence[Role], token: str | None) -> None:
        """The first exchange."""
        self._reader.start()
        reply = self.ask(hello(roles, token))
        with self._state:
            self._session.start(reply)
        self._granted = Granted.of(reply)

    @property
    def granted(self) -> Granted:
        assert self._granted is not None
        return self._granted

    @property
    def closed(self) -> Closed | None:
        """How it ended; None while it has not."""
        return self._closed

    def wait_closed(self, timeout: float | None = None) -> Closed:
        """Returns when the connection has ended: for a program that only answers. ETIMEDOUT: it has not in so many seconds."""
        if not self._ended.wait(timeout):
            raise error("ETIMEDOUT", f"the connection has not ended within {timeout} s")
        assert self._closed is not None
        return self._closed

    def start(self, operation: Operation[T]) -> Pending[T]:
        """Makes a call, and does not wait for it. Calls of one class take effect in the order in which they were made."""
        pending = Pending(self, operation)
        with self._state:
            self._session.make(pending._call)
        self._flush()
        return pending

    def ask(self, operation: Operation[T]) -> T:
        """Makes a call and waits for its reply. ETIMEDOUT: what it did is unknown."""
        pending = self.start(operation)
        try:
            return pending.result()
        except BaseException:
            if not pending.done:
                self.give_up([pending._call])
            raise

    def ask_all(self, operations: Sequence[Operation[T]]) -> list[T]:
        """Makes many calls at once and waits for all replies."""
        if not operations:
            return []
        finished = threading.Lock()
        finished.acquire()
        batch = Batch(operations, finished.release)
        make = self._session.make
        with self._state:
            for call in batch.calls:
                make(call)
        self._flush()
        seconds = self.timeout
        try:
            if not finished.acquire(timeout=-1 if seconds is None else seconds):
                what = batch.waits_for()
                raise error("ETIMEDOUT", f"no answer to {what} within {seconds} s", what)
        except BaseException:
            self.give_up(batch.calls)
            raise
        return batch.results()

    def call(self, name: str, request: m.Message, data: bytes | None = None, reply_bytes: int = 0) -> tuple[m.Message, bytes | None]:
        """Any call of the contract by its name in frame.proto, such as `ioas_alloc`; `reply_bytes` is what it asks for in `data`."""
        number = b.CALLS.get(name)
        if number is None:
            raise invalid("name", f"{name!r} is no call of the contract")
        parse = b.MESSAGES[number + 1].FromString
        return self.ask(Operation(number, request.SerializeToString(), lambda got: (parse(got.body), got.data), name, data, reply_bytes))

    def post(self, operation: Operation[Any]) -> None:
        """A call that gets no reply."""
        with self._state:
            self._session.post(operation.number, operation.body, operation.data)
        self._flush()

    def answer(self, call: PeerCall, outcome: tuple[bytes, bytes | None] | BaseException) -> None:
        with self._state:
            if isinstance(outcome, BaseException):
                self._session.refuse(call, outcome)
            else:
                self._session.answer(call, *outcome)
        self._flush()

    def give_up(self, calls: Iterable[Call]) -> None:
        with self._state:
            for call in calls:
                if call.done is not None:
                    self._session.cancel(call)
        self._flush()

    def claim(
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
        return self.claims.claim(bdf, device, terms)

    def plug(
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
        return self.claims.plug(port, device, terms)

    def own_memory(self, address: int, size: int, owner: Owner, *, depth: int | None = None) -> OwnedMemory:
        """Owns a range of guest memory, multiples of 4096: what the server reads and writes there comes to `owner`, `depth` accesses at once (16). Needs
        the memory role. Errors: EINVAL (alignment), EADDRINUSE (overlaps), EPERM."""
        return self.claims.own(address, size, owner, depth)

    def next_token(self) -> str:
        self._tokens += 1
        return f"{self._prefix}-{self._tokens}"

    def close(self) -> None:
        """Pending calls get ECONNRESET."""
        with self._state:
            self._web.close(1000, "closed by this client")
        self._flush()
        if threading.current_thread() is not self._reader and self._reader.is_alive():
            self._reader.join(_CLOSE_S)
        self._end(Closed(1000, "closed by this client"))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _flush(self) -> None:
        with self._sending:
            with self._state:
                for packet in self._session.packets():
                    self._web.send(packet)
                out = self._web.outgoing()
            try:
                for part in out:
                    if part:
                        self._socket.sendall(part)
                    else:
                        self._socket.shutdown(socket.SHUT_WR)
            except OSError:
                # The reader is told too, and ends what waits.
                self._cut()

    def _cut(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _read(self) -> None:
        broke = ""
        try:
            while True:
                data = self._socket.recv(_RECEIVE_BYTES)
                self._take(data)
                if not data:
                    break
        except (OSError, NotConnected) as problem:
            broke = str(problem)
        finally:
            with self._state:
                closed = self._web.closed(broke)
            self._end(closed)

    def _take(self, data: bytes) -> None:
        broken: FrameError | None = None
        with self._state:
            self._web.feed(data)
            try:
                for message in self._web.messages():
                    self._session.receive(message)
            except FrameError as problem:
                broken = problem
            come = self._session.heard()
        # What came before the frame that is broken counts.
        try:
            for one in come:
                self._heed(one)
        except FrameError as problem:
            broken = broken or problem
        except m.DecodeError as problem:
            broken = broken or undecodable(problem)
        if broken is not None:
            with self._state:
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

    def _end(self, how: Closed) -> None:
        with self._state:
            if self._closed is not None:
                return
            self._closed = how
            self._session.end(lost(str(how)))
        self._cut()
        self._socket.close()
        self.claims.end()
        for queue in self.queues.values():
            queue.end(error("ECONNRESET", f"no more events: {how}"))
        self._ended.set()


def connect(
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
            return _connect_once(url, roles, token, until, timeout, token_prefix)
        except (OSError, NotConnected, IommudError) as problem:
            if not (retry and (isinstance(problem, OSError) or is_transient(problem))):
                raise refusal(problem, url) from problem
            if time.monotonic() + pause >= until:
                raise error("ETIMEDOUT", f"no connection to {url} within {deadline} s: {problem}", url) from problem
        time.sleep(pause)
        pause = min(pause * 2, _BACKOFF_MAX_S)


def _connect_once(
    url: str, roles: Sequence[Role], token: str | None, until: float, timeout: float | None, token_prefix: str | None
) -> Connection:
    home = urlsplit(url).netloc
    for _ in range(_REDIRECTS_MAX + 1):
        web = WebSocket(url, token if urlsplit(url).netloc == home else None)
        sock = socket.create_connection((web.host, web.port), timeout=max(0.001, until - time.monotonic()))
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keep_alive(sock)
            _handshake(sock, web)
        except NotConnected as problem:
            sock.close()
            if problem.location is None:
                raise
            url = redirected(url, problem.location)
            continue
        except BaseException:
            sock.close()
            raise
        sock.settimeout(None)
        connection = Connection(sock, web, max(0.001, until - time.monotonic()), token_prefix)
        try:
            connection.begin(roles, token)
        except BaseException:
            connection.close()
            raise
        connection.timeout = timeout
        return connection
    raise NotConnected(f"more than {_REDIRECTS_MAX} redirects")


def _handshake(sock: socket.socket, web: WebSocket) -> None:
    while True:
        for part in web.outgoing():
            sock.sendall(part)
        data = sock.recv(_RECEIVE_BYTES)
        web.feed(data)
        # None yet: a server's first message answers one of the client.
        web.messages()
        if web.opened:
            return
        if not data:
            raise NotConnected("the connection was closed in the handshake")
