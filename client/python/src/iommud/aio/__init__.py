"""The face for asyncio: the same names as `iommud`, whose calls are awaited."""

from ..core.hello import Granted
from ..core.peer import Invalidation, RegionAccess
from ..core.socket import Closed
from ..errors import IommudError
from .claims import ClaimedFunction, Device, OwnedMemory, Owner, Ram
from .connection import Connection, Pending, connect
from .device_ats import DeviceAts, Translation
from .domains import Domain
from .function import Function, ResetWindow
from .machine import ClockPace, Hold, Machine
from .mappings import Mappings
from .queue import EventQueue
from .region import Region
from .started import StartedMachine, start_machine

__all__ = [
    "ClaimedFunction",
    "ClockPace",
    "Closed",
    "Connection",
    "Device",
    "DeviceAts",
    "Domain",
    "EventQueue",
    "Function",
    "Granted",
    "Hold",
    "Invalidation",
    "IommudError",
    "Machine",
    "Mappings",
    "OwnedMemory",
    "Owner",
    "Pending",
    "Ram",
    "Region",
    "RegionAccess",
    "ResetWindow",
    "StartedMachine",
    "Translation",
    "connect",
    "start_machine",
]
