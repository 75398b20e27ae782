"""Faults on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..addresses import ns_of_ms, pack_bdf, u32, u64
from ..core.operation import operation
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import FAULT_KIND, MEMORY_ERROR, REQUEST_POINT, FaultKind, MemoryError, RequestPoint
from ..values import ArmedFault

if TYPE_CHECKING:
    from .connection import Connection


def _ns(ms: float | None, field: str) -> int | None:
    return None if ms is None else ns_of_ms(ms, field)


class FaultInjection:
    """Faults on purpose of one function."""

    def __init__(self, connection: Connection, function: int) -> None:
        self._connection = connection
        self._function = function

    async def arm(
        self,
        fault: FaultKind,
        *,
        first: int | None = None,
        count: int | None = None,
        point: RequestPoint | None = None,
        delay_ms: float | None = None,
        from_ms: float | None = None,
        until_ms: float | None = None,
    ) -> int:
        """Arms a fault, in place of one of the same kind; its number. It acts on the `first` occurrence (1 is the next) and `count` of them (0 without
        end; 1 when absent). Errors: ENODEV, EINVAL (`hold` without a point, …)."""
        request = m.FaultArm(
            function=self._function,
            fault=FAULT_KIND.number_of(fault, "fault"),
            first=first,
            count=count,
            point=None if point is None else REQUEST_POINT.number_of(point, "point"),
            delay_ns=_ns(delay_ms, "delay_ms"),
            from_ns=_ns(from_ms, "from_ms"),
            until_ns=_ns(until_ms, "until_ms"),
        )
        return await self._connection.ask(operation(b.FAULT_ARM, request, m.FaultArmReply, lambda reply: reply.armed, "arming a fault"))

    async def disarm(self, fault: FaultKind) -> None:
        request = m.FaultDisarm(function=self._function, fault=FAULT_KIND.number_of(fault, "fault"))
        await self._connection.ask(operation(b.FAULT_DISARM, request, m.FaultDisarmReply, lambda _: None, "disarming a fault"))


class ArmedFaults:
    """All faults on purpose of a machine, and those of its memory."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> list[ArmedFault]:
        """By number."""
        return await self._connection.ask(
            operation(
                b.FAULT_LIST,
                m.FaultList(),
                m.FaultListReply,
                lambda reply: [ArmedFault.of(one) for one in reply.faults],
                "the armed faults",
            )
        )

    async def arm_memory(
        self,
        fault: FaultKind,
        *,
        address: int,
        size: int,
        error: MemoryError | None = None,
        function: str | None = None,
        first: int | None = None,
        count: int | None = None,
        delay_ms: float | None = None,
        from_ms: float | None = None,
        until_ms: float | None = None,
        hosts: bool | None = None,
    ) -> int:
        """Memory that errs (`memory-errors`) or stalls (`memory-stalls`), for the DMA of all functions or of one; with `hosts` for what
        hosts read and write too. Its number."""
        request = m.FaultArm(
            function=None if function is None else pack_bdf(function),
            fault=FAULT_KIND.number_of(fault, "fault"),
            first=first,
            count=count,
            delay_ns=_ns(delay_ms, "delay_ms"),
            from_ns=_ns(from_ms, "from_ms"),
            until_ns=_ns(until_ms, "until_ms"),
            address=u64(address, "address"),
            bytes=u64(size, "bytes"),
            error=None if error is None else MEMORY_ERROR.number_of(error, "error"),
            hosts=hosts,
        )
        return await self._connection.ask(operation(b.FAULT_ARM, request, m.FaultArmReply, lambda reply: reply.armed, "arming a fault"))

    async def disarm(self, armed: int) -> None:
        """Takes the fault with this number away. Errors: ENOENT (it is over, or never was)."""
        request = m.FaultDisarm(armed=u32(armed, "armed"))
        await self._connection.ask(operation(b.FAULT_DISARM, request, m.FaultDisarmReply, lambda _: None, "disarming a fault"))
