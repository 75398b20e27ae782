"""The device and memory roles: what this program emulates, and what it owns."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Coroutine, Literal, Sequence, TypeVar

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

    Accesses come one after the other, each when the one before has been answered, so a read sees what earlier writes did; a reset and an invalidation start
    at once. A method may do DMA and raise interrupts meanwhile. What it raises is answered as an error: an IommudError with its code, anything else as EIO.
    """

    function: ClaimedFunction
    """Set by `Connection.claim`."""

    async def read(self, access: RegionAccess) -> int:
        """A register, little-endian."""
        return 0

    async def write(self, access: RegionAccess, value: int) -> None:
        pass

    async def reset(self, method: ResetMethod) -> None:
        """It is ready when this returns."""

    async def invalidate(self, invalidation: Invalidation) -> Literal["done", "later"]:
        """Of a function that was claimed with `atc="peer"`: drop what is cached of the range. `done`: every request that used it has been sent. `later`:
        `ats.complete` will say when, or nothing does and it times out."""
        return "done"

    async def alarm(self, alarm: int) -> None:
        """An alarm of `set_alarm` is due, in turn with the accesses. The machine's clock stands until this returns: what may itself wait for the clock, such as
        a DMA that somebody holds, is started here (`dma.start_write`) and its end left to `when_done`."""

    @property
    def ats(self) -> DeviceAts:
        return self.function.ats

    @property
    def dma(self) -> DeviceDma:
        return self.function.dma

    async def interrupt(self, vector: int) -> InterruptOutcome:
        return await self.function.interrupt(vector)

    async def line(self, asserted: bool) -> InterruptOutcome:
        return await self.function.line(asserted)

    async def set_alarm(self, alarm: int, delay_ms: float) -> None:
        await self.function.set_alarm(alarm, delay_ms)

    async def cancel_alarm(self, alarm: int) -> None:
        await self.function.cancel_alarm(alarm)

    def when_done(self, pending: Pending[T], then: Callable[[Pending[T]], Awaitable[None]]) -> None:
        self.function.when_done(pending, then)


class Owner:
    """Guest memory that this program has: subclass it, or use Ram, and give it to `Connection.own_memory`. Addresses are physical.

    Accesses start in the order in which they were sent; others start while one waits. A fence is told when the writes before it have ended.
    """

    async def read(self, address: int, size: int) -> bytes:
        """Exactly so many bytes."""
        raise NotImplementedError

    async def write(self, address: int, data: bytes) -> None:
        raise NotImplementedError

    async def fence(self, address: int, size: int) -> None:
        """Returns when every write before it has been applied or never will be."""


class Ram(Owner):
    """Bytes from `address` on."""

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.bytes = bytearray(size)

    async def read(self, address: int, size: int) -> bytes:
        at = address - self.address
        return bytes(self.bytes[at : at + size])

    async def write(self, address: int, data: bytes) -> None:
        at = address - self.address
        self.bytes[at : at + len(data)] = data


class _Claim:
    """Something of the server's that this connection answers for. `async with` gives it up."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._given_up = False
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, call: PeerCall) -> None:
        self._spawn(self._serve(call))

    def end(self) -> None:
        """No more calls will come, and no answer is waited for."""
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def release(self) -> None:
        """Gives it up."""
        if not self._given_up:
            self._given_up = True
            await self._undo()
            self.end()

    async def __aexit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection.closed is None:
            await self.release()

    async def _undo(self) -> None:
        raise NotImplementedError

    async def _answer(self, call: PeerCall) -> Answer:
        raise NotImplementedError

    async def _serve(self, call: PeerCall) -> None:
        try:
            outcome: Answer | BaseException = await self._answer(call)
        except Exception as problem:
            outcome = problem
        self._connection.answer(call, outcome)

    def _spawn(self, run: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(run, name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class ClaimedFunction(_Claim):
    """A function that this connection emulates."""

    def __init__(self, connection: Connection, function: int, device: Device, undo: Callable[[], Awaitable[None]]) -> None:
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
        self._turn = asyncio.Lock()
        super().__init__(connection, f"iommud-{self.bdf}")

    async def interrupt(self, vector: int) -> InterruptOutcome:
        """Interrupt `vector` happens, by MSI-X, MSI or INTx as configuration space has enabled, behind the writes that were made before; what became
        of it. EINVAL: a vector that it does not have."""
        return await self._connection.ask(ops.device_interrupt(self._function, vector, None))

    async def line(self, asserted: bool) -> InterruptOutcome:
        """Its cause for INTx comes or goes."""
        return await self._connection.ask(ops.device_interrupt(self._function, None, asserted))

    async def set_alarm(self, alarm: int, delay_ms: float) -> None:
        """`Device.alarm` is called when so much time has passed on the machine's clock. Alarms are numbered 0 to 15; one that is set already is set anew, and a
        reset takes all back. Errors: EINVAL (alarm)."""
        await self._connection.ask(ops.device_alarm_set(self._function, alarm, delay_ms))

    async def cancel_alarm(self, alarm: int) -> None:
        await self._connection.ask(ops.device_alarm_set(self._function, alarm, None))

    def when_done(self, pending: Pending[T], then: Callable[[Pending[T]], Awaitable[None]]) -> None:
        """`then(pending)` is called when the call is answered, in turn with the accesses: those that come behind the answer see what it did. What it raises is
        logged. A connection that has ended calls nothing."""

        async def run() -> None:
            async with self._turn:
                await self._logged(then(pending))

        pending._when(lambda: self._spawn(run()))

    async def _logged(self, run: Awaitable[None]) -> None:
        try:
            await run
        except Exception:
            _LOG.exception("%s: what was to be done when a call was answered", self.bdf)

    async def __aenter__(self) -> ClaimedFunction:
        return self

    async def _undo(self) -> None:
        await self._undo_claim()

    async def _answer(self, call: PeerCall) -> Answer:
        asked = device_call(call)
        if isinstance(asked, DeviceReset):
            self.lost_power = asked.cold
            await self._device.reset(asked.method)
            return b"", None
        if isinstance(asked, DeviceInvalidate):
            return invalidated(await self._device.invalidate(asked.invalidation)), None
        # Fair: in the order in which they came.
        async with self._turn:
            if isinstance(asked, DeviceRead):
                return value_body(await self._device.read(asked.access), asked.access), None
            if isinstance(asked, DeviceWrite):
                await self._device.write(asked.access, asked.value)
            elif isinstance(asked, DeviceAlarm):
                await self._device.alarm(asked.alarm)
            else:
                await self._write_all(asked)
            return b"", None

    async def _write_all(self, asked: DeviceWrites) -> None:
        """All of them; the first error is the answer."""
        problems: list[Exception] = []
        for access, value in asked.writes:
            try:
                await self._device.write(access, value)
            except Exception as problem:
                problems.append(problem)
        if problems:
            raise problems[0]


class OwnedMemory(_Claim):
    """A range of guest memory that this connection owns."""

    def __init__(self, connection: Connection, address: int, size: int, owner: Owner, undo: Callable[[], Awaitable[None]]) -> None:
        self.address = address
        self.size = size
        self._owner = owner
        self._undo_claim = undo
        self._writes: set[asyncio.Task[None]] = set()
        super().__init__(connection, f"iommud-{address:#x}")

    def take(self, call: PeerCall) -> None:
        if call.number == b.MEMORY_FENCE:
            self._spawn(self._fence(call, set(self._writes)))
            return
        task = self._spawn(self._serve(call))
        if call.number == b.MEMORY_WRITE:
            self._writes.add(task)
            task.add_done_callback(self._writes.discard)

    async def dirty(self, writes: Sequence[tuple[int, int]]) -> bool:
        """Tells the server what this program has written here by itself, an address and a size each, any number of them, so that hosts that keep a log of what is
        written know. Whether one does. Errors: EINVAL, EFAULT (not in this range, or another of this connection's); those of 256 that were told before an error
        are noted."""
        ranges = [m.MemoryRange(address=u64(address, "address"), bytes=u64(size, "bytes")) for address, size in writes]
        logging = False
        for at in range(0, max(len(ranges), 1), DIRTY_RANGES_MAX):
            request = m.MemoryDirty(ranges=ranges[at : at + DIRTY_RANGES_MAX])
            what = f"what was written of the memory at {self.address:#x}"
            logging = await self._connection.ask(operation(b.MEMORY_DIRTY, request, m.MemoryDirtyReply, lambda reply: reply.logging, what))
        return logging

    async def __aenter__(self) -> OwnedMemory:
        return self

    async def _undo(self) -> None:
        await self._undo_claim()

    async def _answer(self, call: PeerCall) -> Answer:
        asked = owner_access(call)
        if asked.number == b.MEMORY_READ:
            return b"", whole(await self._owner.read(asked.address, asked.size), asked.size)
        if asked.number == b.MEMORY_WRITE:
            await self._owner.write(asked.address, asked.data)
        else:
            await self._owner.fence(asked.address, asked.size)
        return b"", None

    async def _fence(self, call: PeerCall, before: set[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        await self._serve(call)


class Claims:
    """The claims of one connection, and the way of a call to its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._functions: dict[int, ClaimedFunction] = {}
        self._memory: list[OwnedMemory] = []
        # Claims whose function the server is to name, and the calls for functions that are not known meanwhile.
        self._coming = 0
        self._early: list[PeerCall] = []

    async def claim(self, bdf: str, device: Device, terms: Terms) -> ClaimedFunction:
        function = pack_bdf(bdf)
        if function in self._functions:
            raise error("EEXIST", f"{bdf} is claimed by this connection already", bdf)
        # Before the claim is answered: the first access may come right behind the answer.
        claimed = self._functions[function] = self._made(function, device)
        request = terms.request(function=function, bdf=bdf)
        try:
            reply, config = await self._connection.ask(with_data(b.DEVICE_CLAIM, request, m.DeviceClaimReply, _both, f"a claim of {bdf}"))
        except BaseException as problem:
            self._functions.pop(function, None)
            claimed.end()
            if not isinstance(problem, IommudError) or problem.name == "ETIMEDOUT":
                # Given up is not undone: behind the claim goes what undoes it, if it had effect.
                self._connection.start(_released(function))
            raise
        claimed.config, claimed.restarted = config, reply.restarted
        return claimed

    async def plug(self, port: str, device: Device, terms: Terms) -> ClaimedFunction:
        request = terms.request(port=pack_bdf(port))
        self._coming += 1
        try:
            what = f"a function to be plugged in below {port}"
            reply, config = await self._connection.ask(with_data(b.DEVICE_CLAIM, request, m.DeviceClaimReply, _both, what))
            claimed = self._functions[reply.function] = self._made(reply.function, device)
            claimed.config = config
        finally:
            self._coming -= 1
            early, self._early = self._early, []
            for call in early:
                self.take(call)
        return claimed

    def _made(self, function: int, device: Device) -> ClaimedFunction:
        async def undo() -> None:
            await self._connection.ask(_released(function))
            self._functions.pop(function, None)

        device.function = ClaimedFunction(self._connection, function, device, undo)
        return device.function

    async def own(self, address: int, size: int, owner: Owner, depth: int | None) -> OwnedMemory:
        ask = self._connection.ask
        what = f"memory at {address:#x}"

        async def undo() -> None:
            await ask(operation(b.MEMORY_RELEASE, m.MemoryRelease(address=address), m.MemoryReleaseReply, _none, f"giving up {what}"))
            self._memory.remove(owned)

        owned = OwnedMemory(self._connection, address, size, owner, undo)
        self._memory.append(owned)
        request = m.MemoryClaim(
            address=u64(address, "address"), bytes=u64(size, "bytes"), depth=None if depth is None else u32(depth, "depth")
        )
        try:
            await ask(operation(b.MEMORY_CLAIM, request, m.MemoryClaimReply, _none, f"a claim of {what}"))
        except IommudError:
            self._memory.remove(owned)
            owned.end()
            raise
        return owned

    def take(self, call: PeerCall) -> None:
        claim = self._claim_of(call)
        if claim is not None:
            claim.take(call)
        elif self._coming and call.number in DEVICE_CALLS:
            self._early.append(call)
        else:
            self._connection.answer(call, error("ENODEV", "nothing here answers for that"))

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
