"""The face for asyncio: the same names as `iommud`, whose calls are awaited."""

from ..core.hello import Granted
from ..core.peer import Invalidation, RegionAccess
from ..core.socket import Closed
from ..errors import IommudError
from .bus import Bus, BusConfig, config_address
from .claims import ClaimedFunction, Device, OwnedMemory, Owner, Ram
from .connection import Connection, Pending, connect
from .device_ats import DeviceAts, Translation
from .domains import Domain
from .function import Function, ResetWindow
from .ioas import Ioas
from .machine import ClockPace, Hold, Machine
from .mappings import Mappings
from .pasid import Pasid
from .queue import EventQueue
from .recovery import Recovery
from .region import Region
from .slot import Slot
from .sriov import Sriov
from .started import Recorded, StartedMachine, start_machine

__all__ = [
    "Bus",
    "BusConfig",
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
    "Ioas",
    "IommudError",
    "Machine",
    "Mappings",
    "OwnedMemory",
    "Owner",
    "Pasid",
    "Pending",
    "Ram",
    "Recorded",
    "Recovery",
    "Region",
    "RegionAccess",
    "ResetWindow",
    "Slot",
    "Sriov",
    "StartedMachine",
    "Translation",
    "config_address",
    "connect",
    "start_machine",
]
