"""Events of the contract as values, and the queue that each goes to."""

from __future__ import annotations

from typing import Callable, Final, NamedTuple

from .. import values as v
from ..addresses import bdf_text
from ..gen import bodies as b
from ..gen import messages as m
from .session import undecodable

_NUMBER_MAX: Final = 0xFFFF_FFFF

QUEUES: Final = (
    "faults",
    "interrupts",
    "intx",
    "windows",
    "driver_calls",
    "logs",
    "trace",
    "page_faults",
    "hotplug",
    "errors",
    "memory_changes",
)


class Heard(NamedTuple):
    """An event for the queue of this name."""

    queue: str
    event: object


def _window(body: bytes) -> v.WindowChange:
    event = m.WindowEvent.FromString(body)
    return v.WindowChange(bdf_text(event.function), event.open, event.depth, event.time_ns)


def _trace(body: bytes) -> v.TraceRecord:
    event = m.TraceEvent.FromString(body)
    return v.TraceRecord(event.name, event.time_ns, (event.a, event.b, event.c, event.d))


_EVENTS: Final[dict[int, tuple[str, Callable[[bytes], object]]]] = {
    b.FAULT_EVENT: ("faults", lambda body: v.FaultRecord.of(m.FaultEvent.FromString(body).record)),
    b.INTERRUPT_EVENT: ("interrupts", lambda body: v.Interrupt.of(m.InterruptEvent.FromString(body))),
    b.INTX_EVENT: ("intx", lambda body: v.IntxChange.of(m.IntxEvent.FromString(body))),
    b.WINDOW_EVENT: ("windows", _window),
    b.DRIVER_CALLBACK_EVENT: ("driver_calls", lambda body: v.DriverCall.of(m.DriverCallbackEvent.FromString(body))),
    b.LOG_EVENT: ("logs", lambda body: v.LogLine.of(m.LogEvent.FromString(body))),
    b.TRACE_EVENT: ("trace", _trace),
    b.PAGE_FAULT_EVENT: ("page_faults", lambda body: v.PageFault.of(m.PageFaultEvent.FromString(body).fault)),
    b.HOTPLUG_EVENT: ("hotplug", lambda body: v.HotplugChange.of(m.HotplugEvent.FromString(body))),
    b.MEMORY_EVENT: ("memory_changes", lambda body: v.MemoryChange.of(m.MemoryEvent.FromString(body))),
    b.ERROR_EVENT: ("errors", lambda body: v.BusErrorReport.of(m.ErrorEvent.FromString(body))),
}


def heard(number: int, body: bytes) -> Heard | None:
    """None for an event that this client does not know, which is ignored. FrameError: it is no such message."""
    known = _EVENTS.get(number)
    if known is None:
        return None
    try:
        return Heard(known[0], known[1](body))
    except m.DecodeError as problem:
        raise undecodable(problem) from problem


def lost_events(body: bytes) -> int:
    """How many events the server says that it dropped. Their numbers start again from 1."""
    try:
        event = m.Lost.FromString(body)
    except m.DecodeError as problem:
        raise undecodable(problem) from problem
    first = int(getattr(event, "from"))
    return event.to - first + 1 + (_NUMBER_MAX if event.to < first else 0)
