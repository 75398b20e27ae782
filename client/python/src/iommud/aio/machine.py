"""A machine as hosts and observers see it."""

from __future__ import annotations

import json
from types import TracebackType
from typing import TYPE_CHECKING, Mapping, Sequence

from ..addresses import bdf_text, ns_of_ms, pack_bdf, u32
from ..core.operation import operation
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import EVENT_CLASS, PAGE_ANSWER, EventClass, PageAnswer
from ..values import (
    BusErrorReport,
    DriverCall,
    FaultRecord,
    FunctionSummary,
    HeldCall,
    HotplugChange,
    Interrupt,
    IntxChange,
    LogLine,
    MachineInfo,
    MemoryChange,
    PageFault,
    TraceRecord,
    WindowChange,
)
from .bus import Bus
from .domains import Domains
from .faults import ArmedFaults
from .function import Function
from .ioas import Ioases
from .memory import Memory
from .queue import EventQueue

if TYPE_CHECKING:
    from .connection import Connection


class Clock:
    """The machine's clock."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def now_ns(self) -> int:
        return await self._connection.ask(
            operation(b.CLOCK_INFO, m.ClockInfo(), m.ClockInfoReply, lambda reply: reply.now_ns, "the machine's clock")
        )

    async def advance(self, ms: float, *, force: bool | None = None) -> int:
        """Moves it, rings what is due on the way, and says how far it moved, nanoseconds; while an attached peer owes an answer it waits, unless
        `force`. Errors: EINVAL, EOPNOTSUPP (clock `real`)."""
        request = m.ClockAdvance(ns=ns_of_ms(ms, "ms"), force=force)
        return await self._connection.ask(
            operation(b.CLOCK_ADVANCE, request, m.ClockAdvanceReply, lambda reply: reply.moved_ns, f"the clock to advance by {ms} ms")
        )

    async def hold(self) -> ClockPace:
        """From now on it passes only as far as this connection grants, until that releases it or ends: for a simulation that sets the pace. Errors: EPERM (an
        observer), EOPNOTSUPP (clock `real`)."""
        await self._connection.ask(operation(b.CLOCK_HOLD, m.ClockHold(), m.ClockHoldReply, lambda _: None, "the clock's hold"))
        return ClockPace(self._connection)


class ClockPace:
    """The clock in this connection's hand. `async with` lets it go."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def grant(self, ms: float) -> int:
        """One more quantum, behind those that were granted before; what time it is then, nanoseconds. Returns when the clock has come to its end: all that was
        due has rung, and every answer that a peer owed has come. Errors: EINVAL."""
        request = m.ClockGrant(ns=ns_of_ms(ms, "ms"))
        return await self._connection.ask(
            operation(b.CLOCK_GRANT, request, m.ClockGrantReply, lambda reply: reply.now_ns, f"the clock to pass {ms} ms")
        )

    async def release(self) -> None:
        """It passes without this connection again."""
        await self._connection.ask(operation(b.CLOCK_RELEASE, m.ClockRelease(), m.ClockReleaseReply, lambda _: None, "the clock's release"))

    async def __aenter__(self) -> ClockPace:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection.closed is None:
            await self.release()


class Hold:
    """Calls that are stopped before a step; it goes with the connection that set it."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self.number = number

    async def release(self) -> None:
        """Takes the hold away; all that it stopped goes on. Errors: ENOENT."""
        await self._release(None, False)

    async def step(self, stopped: int | None = None) -> None:
        """Lets all that it stopped, or one call of `held`, go on to the next step that it names. Errors: ENOENT."""
        await self._release(stopped, True)

    async def _release(self, stopped: int | None, keep: bool) -> None:
        request = m.CallRelease(hold=self.number, stopped=stopped, keep=keep)
        await self._connection.ask(operation(b.CALL_RELEASE, request, m.CallReleaseReply, lambda _: None, f"hold {self.number}"))


class CallHolds:
    """Calls of any host, held in the middle of their work (docs/steps.md)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def hold(
        self, call: str | None = None, step: str | None = None, *, function: str | None = None, count: int | None = None
    ) -> Hold:
        """Holds calls of this name before this step; without a step before every one, without a name calls of any. Errors: EINVAL, EAGAIN."""
        request = m.CallHold(call=call, step=step, function=None if function is None else pack_bdf(function), count=count)
        number = await self._connection.ask(operation(b.CALL_HOLD, request, m.CallHoldReply, lambda reply: reply.hold, "a hold"))
        return Hold(self._connection, number)

    async def held(self) -> list[HeldCall]:
        """What stands before a step now, by whichever hold."""

        def calls(reply: m.CallsHeldReply) -> list[HeldCall]:
            return [
                HeldCall(one.id, one.call, one.step, bdf_text(one.function) if one.HasField("function") else None, one.hold, one.since_ns)
                for one in reply.calls
            ]

        return await self._connection.ask(operation(b.CALLS_HELD, m.CallsHeld(), m.CallsHeldReply, calls, "the held calls"))


class Machine:
    """A machine as hosts and observers see it. Its event queues hold what came since the connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.memory = Memory(connection)
        self.bus = Bus(connection)
        """Accesses by address, as a processor makes them."""
        self.domains = Domains(connection)
        self.ioas = Ioases(connection)
        """I/O address spaces in the manner of iommufd."""
        self.clock = Clock(connection)
        self.calls = CallHolds(connection)
        self.armed = ArmedFaults(connection)
        queues = connection.queues
        self.faults: EventQueue[FaultRecord] = queues["faults"]
        """What the IOMMU refused."""
        self.interrupts: EventQueue[Interrupt] = queues["interrupts"]
        self.intx: EventQueue[IntxChange] = queues["intx"]
        self.windows: EventQueue[WindowChange] = queues["windows"]
        """Reset windows that were opened and closed."""
        self.driver_calls: EventQueue[DriverCall] = queues["driver_calls"]
        self.logs: EventQueue[LogLine] = queues["logs"]
        """What the kernel would print."""
        self.trace: EventQueue[TraceRecord] = queues["trace"]
        """The machine's trace, for an observer that has subscribed to it."""
        self.page_faults: EventQueue[PageFault] = queues["page_faults"]
        self.hotplug: EventQueue[HotplugChange] = queues["hotplug"]
        self.memory_changes: EventQueue[MemoryChange] = queues["memory_changes"]
        self.errors: EventQueue[BusErrorReport] = queues["errors"]
        """Errors on the bus, as functions log them."""

    @property
    def name(self) -> str:
        return self.connection.granted.machine

    def function(self, bdf: str) -> Function:
        """The function at `00:02.0` or `0000:00:02.0`. Nothing is asked: a call tells when there is none (ENODEV)."""
        return Function(self.connection, pack_bdf(bdf))

    async def functions(self) -> list[FunctionSummary]:
        """All functions, by address."""
        return await self.connection.ask(
            operation(
                b.FUNCTION_LIST,
                m.FunctionList(),
                m.FunctionListReply,
                lambda reply: [FunctionSummary.of(one) for one in reply.functions],
                "the list of functions",
            )
        )

    async def info(self) -> MachineInfo:
        def info(reply: m.MachineInfoReply) -> MachineInfo:
            return MachineInfo(reply.name, reply.seed, reply.behaviour, reply.clock, reply.now_ns, reply.functions, reply.iommu)

        return await self.connection.ask(
            operation(b.MACHINE_INFO, m.MachineInfo(), m.MachineInfoReply, info, "a description of the machine")
        )

    async def fault_records(self) -> list[FaultRecord]:
        """The IOMMU's fault records, oldest first, not consumed."""
        return await self.connection.ask(
            operation(
                b.FAULT_RECORDS,
                m.FaultRecords(),
                m.FaultRecordsReply,
                lambda reply: [FaultRecord.of(one) for one in reply.records],
                "the fault records",
            )
        )

    async def fault_overflow(self) -> int:
        """How many fault records found the queue full."""
        return await self.connection.ask(
            operation(b.FAULT_RECORDS, m.FaultRecords(), m.FaultRecordsReply, lambda reply: reply.overflow, "the fault records")
        )

    async def pending_page_faults(self) -> list[PageFault]:
        """The page faults that wait for an answer, oldest first: also those that came before this connection."""
        return await self.connection.ask(
            operation(
                b.PAGE_FAULTS,
                m.PageFaults(),
                m.PageFaultsReply,
                lambda reply: [PageFault.of(one) for one in reply.faults],
                "the page faults that wait",
            )
        )

    async def answer_page_fault(self, number: int, answer: PageAnswer = "success") -> None:
        """`success`, `invalid` or `failure`. Errors: EINVAL (no such group waits)."""
        request = m.PageResponse(fault=u32(number, "fault"), answer=PAGE_ANSWER.number_of(answer, "answer"))
        await self.connection.ask(
            operation(b.PAGE_RESPONSE, request, m.PageResponseReply, lambda _: None, f"the answer to page fault {number}")
        )

    async def remap_interrupt(self, index: int, vector: int | None, *, destination: int | None = None, source: str | None = None) -> None:
        """Writes an entry of the interrupt remapping table; without a vector it is not present. `source`: the only function whose messages it serves.
        Errors: EOPNOTSUPP (the machine does not remap interrupts), EINVAL, ENODEV."""
        request = m.IrqRemapSet(
            index=u32(index, "index"),
            vector=None if vector is None else u32(vector, "vector"),
            destination=destination,
            source=None if source is None else pack_bdf(source),
        )
        await self.connection.ask(
            operation(b.IRQ_REMAP_SET, request, m.IrqRemapSetReply, lambda _: None, f"interrupt remapping entry {index}")
        )

    async def plug(self, functions: Sequence[Mapping[str, object]] | str, *, port: str | None = None) -> tuple[str, ...]:
        """Plugs functions in, as `functions` of a topology document lists them; their addresses, when they answer. Errors: EINVAL, ENODEV, EBUSY."""
        text = functions if isinstance(functions, str) else json.dumps({"functions": [dict(one) for one in functions]})
        request = m.FunctionPlug(port=None if port is None else pack_bdf(port), topology=text)

        def plugged(reply: m.FunctionPlugReply) -> tuple[str, ...]:
            return tuple(map(bdf_text, reply.functions))

        return await self.connection.ask(operation(b.FUNCTION_PLUG, request, m.FunctionPlugReply, plugged, "functions to be plugged in"))

    async def enable_error_reporting(self) -> None:
        """In every function and root port, as Linux does at boot."""
        await self.connection.ask(
            operation(b.ERROR_REPORTING, m.ErrorReporting(), m.ErrorReportingReply, lambda _: None, "error reporting")
        )

    async def cold_reset(self) -> None:
        """Power goes off and on: every function is as after power-up. Nobody is asked."""
        await self.connection.ask(operation(b.COLD_RESET, m.ColdReset(), m.ColdResetReply, lambda _: None, "a cold reset"))

    async def trace_hash(self) -> str:
        """Equal for equal inputs."""
        return await self.connection.ask(
            operation(b.TRACE_HASH, m.TraceHash(), m.TraceHashReply, lambda reply: reply.hash, "the trace hash")
        )

    async def subscribe(self, events: Sequence[EventClass]) -> None:
        """Chooses which events arrive from now on, in place of what was chosen before. A connection begins with all but the trace. Errors: EPERM (the
        trace is for observers), EOPNOTSUPP (no trace here)."""
        request = m.Subscribe(events=[EVENT_CLASS.number_of(name, "events") for name in events])
        await self.connection.ask(operation(b.SUBSCRIBE, request, m.SubscribeReply, lambda _: None, "a subscription"))

    async def close(self) -> None:
        """Closes the connection that this handle stands on."""
        await self.connection.close()
