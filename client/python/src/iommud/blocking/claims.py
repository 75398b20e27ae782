"""The device and memory roles: what this program emulates, and what it owns. Each claim has a thread that answers, one call after the other."""

from __future__ import annotations

import logging
import queue
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Callable, Literal, Sequence, TypeVar

from ..addresses import bdf_text, pack_bdf, u32, u64
from ..core import operations as ops
from ..core.claim import Terms
from ..core.limits import DIRTY_RANGES_MAX
from ..core.operation import Operation, operation, with_data
from ..core.peer import (
    DEVICE_CALLS,
    DeviceAlarm,
    DeviceInvalidate,
    DeviceRead,
    DeviceReset,
    DeviceWrite,
    DeviceWrites,
    Invalidation,
    RegionAccess,
    device_call,
    invalidated,
    owner_access,
    value_body,
    whole,
)
from ..core.session import PeerCall
from ..errors import IommudError, error
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import InterruptOutcome, ResetMethod
from .device_ats import DeviceAts
from .device_dma import DeviceDma

if TYPE_CHECKING:
    from .connection import Connection, Pending

T = TypeVar("T")
Answer = tuple[bytes, "bytes | None"]

_LOG = logging.getLogger("iommud")


class Device:
    """A function that this program is: subclass it, and give it to `Connection.claim`.

    Accesses, resets and invalidations come one after the other, in a thread of the claim; a method may do DMA and raise interrupts meanwhile. What a method
    raises is answered as an error: an IommudError with its code, anything else as EIO. The server does not wait for an answer beyond its own time.
    """

    function: ClaimedFunction
    """Set by `Connection.claim`."""

    def read(self, access: RegionAccess) -> int:
        """A register, little-endian."""
        return 0

    def write(self, access: RegionAccess, value: int) -> None:
        pass

    def reset(self, method: ResetMethod) -> None:
        """It is ready when this returns."""

    def invalidate(self, invalidation: Invalidation) -> Literal["done", "later"]:
        """Of a function that was claimed with `atc="peer"`: drop what is cached of the range. `done`: every request that used it has been sent. `later`:
        `ats.complete` will say when, or nothing does and it times out."""
        return "done"

    def alarm(self, alarm: int) -> None:
        """An alarm of `set_alarm` is due, in turn with the accesses. The machine's clock stands until this returns: what may itself wait for the clock, such as
        a DMA that somebody holds, is started here (`dma.start_write`) and its end left to `when_done`."""

    @property
    def ats(self) -> DeviceAts:
        return self.function.ats

    @property
    def dma(self) -> DeviceDma:
        return self.function.dma

    def interrupt(self, vector: int) -> InterruptOutcome:
        return self.function.interrupt(vector)

    def line(self, asserted: bool) -> InterruptOutcome:
        return self.function.line(asserted)

    def set_alarm(self, alarm: int, delay_ms: float) -> None:
        self.function.set_alarm(alarm, delay_ms)

    def cancel_alarm(self, alarm: int) -> None:
        self.function.cancel_alarm(alarm)

    def when_done(self, pending: Pending[T], then: Callable[[Pending[T]], None]) -> None:
        self.function.when_done(pending, then)


class Owner:
    """Guest memory that this program has: subclass it, or use Ram, and give it to `Connection.own_memory`. Addresses are physical.

    Accesses come one after the other, in the order in which they were sent, in a thread of the claim.
    """

    def read(self, address: int, size: int) -> bytes:
        """Exactly so many bytes."""
        raise NotImplementedError

    def write(self, address: int, data: bytes) -> None:
        raise NotImplementedError

    def fence(self, address: int, size: int) -> None:
        """Returns when every write before it has been applied or never will be."""


class Ram(Owner):
    """Bytes from `address` on."""

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.bytes = bytearray(size)

    def read(self, address: int, size: int) -> bytes:
        at = address - self.address
        return bytes(self.bytes[at : at + size])

    def write(self, address: int, data: bytes) -> None:
        at = address - self.address
        self.bytes[at : at + len(data)] = data


class _Claim:
    """Something of the server's that this connection answers for. `with` gives it up."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._calls: queue.SimpleQueue[PeerCall | Callable[[], None] | None] = queue.SimpleQueue()
        self._given_up = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def take(self, call: PeerCall) -> None:
        self._calls.put(call)

    def end(self) -> None:
        """No more calls will come."""
        self._calls.put(None)

    def release(self) -> None:
        """Gives it up."""
        if not self._given_up:
            self._given_up = True
            self._undo()
            self.end()

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection.closed is None:
            self.release()

    def _undo(self) -> None:
        raise NotImplementedError

    def _answer(self, call: PeerCall) -> Answer:
        raise NotImplementedError

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            if not isinstance(call, PeerCall):
                self._do(call)
                continue
            try:
                outcome: Answer | BaseException = self._answer(call)
            except Exception as problem:
                outcome = problem
            self._connection.answer(call, outcome)

    def _do(self, run: Callable[[], None]) -> None:
        if self._connection.closed is not None:
            return
        try:
            run()
        except Exception:
            _LOG.exception("%s: what was to be done when a call was answered", self._thread.name)


class ClaimedFunction(_Claim):
    """A function that this connection emulates."""

    def __init__(self, connection: Connection, function: int, device: Device, undo: Callable[[], None]) -> None:
        self.bdf = bdf_text(function)
        self.dma = DeviceDma(connection, function)
        self.ats = DeviceAts(connection, function)
        self.config = b""
        """Configuration space as it stood when it was claimed."""
        self.restarted = False
        """It had vanished, and is as hosts have set it up; a reset follows."""
        self.lost_power = False
        """Its last reset was a loss of power, which sticky registers do not survive either."""
        self._function = function
        self._device = device
        self._undo_claim = undo
        super().__init__(connection, f"iommud-{self.bdf}")

    def interrupt(self, vector: int) -> InterruptOutcome:
        """Interrupt `vector` happens, by MSI-X, MSI or INTx as configuration space has enabled, behind the writes that were made before; what became
        of it. EINVAL: a vector that it does not have."""
        return self._connection.ask(ops.device_interrupt(self._function, vector, None))

    def line(self, asserted: bool) -> InterruptOutcome:
        """Its cause for INTx comes or goes."""
        return self._connection.ask(ops.device_interrupt(self._function, None, asserted))

    def set_alarm(self, alarm: int, delay_ms: float) -> None:
        """`Device.alarm` is called when so much time has passed on the machine's clock. Alarms are numbered 0 to 15; one that is set already is set anew, and a
        reset takes all back. Errors: EINVAL (alarm)."""
        self._connection.ask(ops.device_alarm_set(self._function, alarm, delay_ms))

    def cancel_alarm(self, alarm: int) -> None:
        self._connection.ask(ops.device_alarm_set(self._function, alarm, None))

    def when_done(self, pending: Pending[T], then: Callable[[Pending[T]], None]) -> None:
        """`then(pending)` is called when the call is answered, in turn with the accesses: those that come behind the answer see what it did. What it raises is
        logged. A connection that has ended calls nothing."""
        pending._when(lambda: self._calls.put(lambda: then(pending)))

    def __enter__(self) -> ClaimedFunction:
        return self

    def _undo(self) -> None:
        self._undo_claim()

    def _answer(self, call: PeerCall) -> Answer:
        asked = device_call(call)
        if isinstance(asked, DeviceReset):
            self.lost_power = asked.cold
            self._device.reset(asked.method)
            return b"", None
        if isinstance(asked, DeviceInvalidate):
            return invalidated(self._device.invalidate(asked.invalidation)), None
        if isinstance(asked, DeviceRead):
            return value_body(self._device.read(asked.access), asked.access), None
        if isinstance(asked, DeviceWrite):
            self._device.write(asked.access, asked.value)
        elif isinstance(asked, DeviceAlarm):
            self._device.alarm(asked.alarm)
        else:
            self._write_all(asked)
        return b"", None

    def _write_all(self, asked: DeviceWrites) -> None:
        """All of them; the first error is the answer."""
        problems: list[Exception] = []
        for access, value in asked.writes:
            try:
                self._device.write(access, value)
            except Exception as problem:
                problems.append(problem)
        if problems:
            raise problems[0]


class OwnedMemory(_Claim):
    """A range of guest memory that this connection owns."""

    def __init__(self, connection: Connection, address: int, size: int, owner: Owner, undo: Callable[[], None]) -> None:
        self.address = address
        self.size = size
        self._owner = owner
        self._undo_claim = undo
        super().__init__(connection, f"iommud-{address:#x}")

    def dirty(self, writes: Sequence[tuple[int, int]]) -> bool:
        """Tells the server what this program has written here by itself, an address and a size each, any number of them, so that hosts that keep a log of what is
        written know. Whether one does. Errors: EINVAL, EFAULT (not in this range, or another of this connection's); those of 256 that were told before an error
        are noted."""
        ranges = [m.MemoryRange(address=u64(address, "address"), bytes=u64(size, "bytes")) for address, size in writes]
        logging = False
        for at in range(0, max(len(ranges), 1), DIRTY_RANGES_MAX):
            request = m.MemoryDirty(ranges=ranges[at : at + DIRTY_RANGES_MAX])
            what = f"what was written of the memory at {self.address:#x}"
            logging = self._connection.ask(operation(b.MEMORY_DIRTY, request, m.MemoryDirtyReply, lambda reply: reply.logging, what))
        return logging

    def __enter__(self) -> OwnedMemory:
        return self

    def _undo(self) -> None:
        self._undo_claim()

    def _answer(self, call: PeerCall) -> Answer:
        asked = owner_access(call)
        if asked.number == b.MEMORY_READ:
            return b"", whole(self._owner.read(asked.address, asked.size), asked.size)
        if asked.number == b.MEMORY_WRITE:
            self._owner.write(asked.address, asked.data)
        else:
            self._owner.fence(asked.address, asked.size)
        return b"", None


class Claims:
    """The claims of one connection, and the way of a call to its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._functions: dict[int, ClaimedFunction] = {}
        self._memory: list[OwnedMemory] = []
        # The reader brings calls while a claim is made in another thread.
        self._state = threading.Lock()
        # Claims whose function the server is to name, and the calls for functions that are not known meanwhile.
        self._coming = 0
        self._early: list[PeerCall] = []

    def claim(self, bdf: str, device: Device, terms: Terms) -> ClaimedFunction:
        function = pack_bdf(bdf)
        if function in self._functions:
            raise error("EEXIST", f"{bdf} is claimed by this connection already", bdf)
        # Before the claim is answered: the first access may come right behind the answer.
        claimed = self._functions[function] = self._made(function, device)
        request = terms.request(function=function, bdf=bdf)
        try:
            reply, config = self._connection.ask(with_data(b.DEVICE_CLAIM, request, m.DeviceClaimReply, _both, f"a claim of {bdf}"))
        except BaseException as problem:
            self._functions.pop(function, None)
            claimed.end()
            if not isinstance(problem, IommudError) or problem.name == "ETIMEDOUT":
                # Given up is not undone: behind the claim goes what undoes it, if it had effect.
                self._connection.start(_released(function))
            raise
        claimed.config, claimed.restarted = config, reply.restarted
        return claimed

    def plug(self, port: str, device: Device, terms: Terms) -> ClaimedFunction:
        request = terms.request(port=pack_bdf(port))
        with self._state:
            self._coming += 1
        claimed: ClaimedFunction | None = None
        try:
            what = f"a function to be plugged in below {port}"
            reply, config = self._connection.ask(with_data(b.DEVICE_CLAIM, request, m.DeviceClaimReply, _both, what))
            claimed = self._made(reply.function, device)
            claimed.config = config
        finally:
            with self._state:
                self._coming -= 1
                if claimed is not None:
                    self._functions[reply.function] = claimed
                early, self._early = self._early, []
                unknown = [call for call in early if not self._given(call)]
            for call in unknown:
                self.take(call)
        return claimed

    def _made(self, function: int, device: Device) -> ClaimedFunction:
        def undo() -> None:
            self._connection.ask(_released(function))
            self._functions.pop(function, None)

        device.function = ClaimedFunction(self._connection, function, device, undo)
        return device.function

    def own(self, address: int, size: int, owner: Owner, depth: int | None) -> OwnedMemory:
        ask = self._connection.ask
        what = f"memory at {address:#x}"

        def undo() -> None:
            ask(operation(b.MEMORY_RELEASE, m.MemoryRelease(address=address), m.MemoryReleaseReply, _none, f"giving up {what}"))
            self._memory.remove(owned)

        owned = OwnedMemory(self._connection, address, size, owner, undo)
        self._memory.append(owned)
        request = m.MemoryClaim(
            address=u64(address, "address"), bytes=u64(size, "bytes"), depth=None if depth is None else u32(depth, "depth")
        )
        try:
            ask(operation(b.MEMORY_CLAIM, request, m.MemoryClaimReply, _none, f"a claim of {what}"))
        except IommudError:
            self._memory.remove(owned)
            owned.end()
            raise
        return owned

    def take(self, call: PeerCall) -> None:
        with self._state:
            if self._given(call):
                return
            if self._coming and call.number in DEVICE_CALLS:
                self._early.append(call)
                return
        self._connection.answer(call, error("ENODEV", "nothing here answers for that"))

    def _given(self, call: PeerCall) -> bool:
        """Whether there was a claim to give it to."""
        claim = self._claim_of(call)
        if claim is not None:
            claim.take(call)
        return claim is not None

    def _claim_of(self, call: PeerCall) -> _Claim | None:
        if call.number in DEVICE_CALLS:
            asked = device_call(call)
            function = self._functions.get(asked.function)
            if function is not None and isinstance(asked, DeviceInvalidate):
                function.ats.note(asked.invalidation)
            return function
        address = owner_access(call).address
        return next((one for one in self._memory if one.address <= address < one.address + one.size), None)

    def end(self) -> None:
        for claim in (*self._functions.values(), *self._memory):
            claim.end()


def _none(_reply: m.Message) -> None:
    return None


def _both(reply: m.DeviceClaimReply, config: bytes | None) -> tuple[m.DeviceClaimReply, bytes]:
    return reply, config or b""


def _released(function: int) -> Operation[None]:
    what = f"giving up {bdf_text(function)}"
    return operation(b.DEVICE_RELEASE, m.DeviceRelease(function=function), m.DeviceReleaseReply, _none, what)
