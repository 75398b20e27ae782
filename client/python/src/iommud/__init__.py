"""A client of iommud: machines with an IOMMU, PCI functions and memory, over a websocket with protobuf frames.

The names here block; `iommud.aio` has the same ones for asyncio. Both stand on one core without I/O, `iommud.core`.
"""

from . import values
from .blocking.bus import Bus, BusConfig, config_address
from .blocking.claims import ClaimedFunction, Device, OwnedMemory, Owner, Ram
from .blocking.connection import Connection, Pending, connect
from .blocking.device_ats import DeviceAts, Translation
from .blocking.domains import Domain
from .blocking.function import Function, ResetWindow
from .blocking.ioas import Ioas
from .blocking.machine import ClockPace, Hold, Machine
from .blocking.mappings import Mappings
from .blocking.pasid import Pasid
from .blocking.queue import EventQueue
from .blocking.recovery import Recovery
from .blocking.region import Region
from .blocking.slot import Slot
from .blocking.sriov import Sriov
from .blocking.started import Recorded, StartedMachine, start_machine
from .core.hello import VERSION, Granted
from .core.peer import Invalidation, RegionAccess
from .core.socket import Closed
from .errors import IommudError
from .gen import messages
from .recording import Replayed, replay
from .rest import Address
from .server import Server

__version__ = VERSION

__all__ = [
    "Address",
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
    "Replayed",
    "ResetWindow",
    "Server",
    "Slot",
    "Sriov",
    "StartedMachine",
    "Translation",
    "config_address",
    "connect",
    "messages",
    "replay",
    "start_machine",
    "values",
]
