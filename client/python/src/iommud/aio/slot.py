"""The slot below a port, by the port's registers (PCIe §7.5.3.8 to §7.5.3.11), and what a hand does there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..addresses import bdf_text
from ..core.operation import operation
from ..errors import error
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import SLOT_SIGNAL_KIND, SlotSignalKind
from ..values import SlotEvent, SlotInfo
from .region import Region

if TYPE_CHECKING:
    from .connection import Connection

_CAPABILITIES_POINTER = 0x34
_EXPRESS = 0x10
# From the capability's header.
_FLAGS = 2
_LINK_STATUS = 0x12
_CAPABILITIES = 0x14
_CONTROL = 0x18
_STATUS = 0x1A
_SLOT = 0x100
_LINK_ACTIVE = 0x2000
_POWER_CONTROLLER = 2
_POWER_OFF = 0x400
_PRESENT = 0x40
# By their bit in Slot Status.
_EVENTS: Final[dict[SlotEvent, int]] = {
    "attention-button": 1,
    "power-fault": 2,
    "latch": 4,
    "presence": 8,
    "command-completed": 0x10,
    "link": 0x100,
}


class Slot:
    def __init__(self, connection: Connection, function: int, config: Region) -> None:
        self._connection = connection
        self._function = function
        self._config = config

    async def info(self) -> SlotInfo:
        """Errors: EOPNOTSUPP (the function has no slot)."""
        at = await self._find()
        status, control, link = await self._config.read_many([at + _STATUS, at + _CONTROL, at + _LINK_STATUS], 2)
        events = tuple(name for name, bit in _EVENTS.items() if status & bit)
        return SlotInfo(status & _PRESENT != 0, control & _POWER_OFF == 0, link & _LINK_ACTIVE != 0, events)

    async def clear(self) -> None:
        """Clears the events of Slot Status."""
        at = await self._find()
        await self._config.write(at + _STATUS, sum(_EVENTS.values()), 2)

    async def power(self, on: bool) -> None:
        """Turns the power on or off (Power Controller Control). Errors: EOPNOTSUPP (no slot, or no power controller)."""
        at = await self._find()
        if await self._config.read(at + _CAPABILITIES) & _POWER_CONTROLLER == 0:
            raise error("EOPNOTSUPP", f"{bdf_text(self._function)} has no slot with a power controller")
        control = await self._config.read(at + _CONTROL, 2)
        await self._config.write(at + _CONTROL, control & ~_POWER_OFF if on else control | _POWER_OFF, 2)

    async def signal(self, signal: SlotSignalKind) -> None:
        """What a hand does at the slot, or its power controller sees. Errors: EOPNOTSUPP (it has no such thing)."""
        request = m.SlotSignal(function=self._function, signal=SLOT_SIGNAL_KIND.number_of(signal, "signal"))
        what = f"{signal} at the slot of {bdf_text(self._function)}"
        await self._connection.ask(operation(b.SLOT_SIGNAL, request, m.SlotSignalReply, lambda _: None, what))

    async def _find(self) -> int:
        at = await self._config.read(_CAPABILITIES_POINTER, 1)
        while at not in (0, 0xFF):
            if await self._config.read(at, 1) == _EXPRESS:
                if await self._config.read(at + _FLAGS, 2) & _SLOT:
                    return at
                break
            at = await self._config.read(at + 1, 1)
        raise error("EOPNOTSUPP", f"{bdf_text(self._function)} has no slot")
