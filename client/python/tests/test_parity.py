"""What the client for TypeScript offers is here too, or it is said why not."""

import inspect
import re
from pathlib import Path

import pytest

import iommud
from iommud import values
from iommud.blocking import bus, claims, device_ats, device_dma, domains, faults, function, ioas, machine, mappings, memory, model, pasid
from iommud.blocking import queue, recovery, region, slot, sriov
from iommud.core import peer, socket
from iommud.gen import names

CLIENT = Path(__file__).resolve().parents[2] / "src"

# By another name. Options of a call are its keywords, so their interfaces have no class.
ELSEWHERE = {
    "FunctionHandle": function.Function,
    "PasidHandle": pasid.Pasid,
    "MemoryOwner": claims.OwnedMemory,
    "MemoryHandlers": claims.Owner,
    "DeviceHandlers": claims.Device,
    "DeviceTranslation": device_ats.Translation,
    "CallHolds": machine.CallHolds,
    "HoldPoint": names.RequestPoint,
    "FunctionDefinition": claims.Device,
    "DefinedFunction": claims.Device,
    "RunningFunction": claims.Device,
    "PlayedFunction": claims.ClaimedFunction,
    "BarAccess": peer.RegionAccess,
    "DeviceConnection": iommud.Connection,
    "EventStreams": machine.Machine,
    "ErrorCode": names.ErrorCode,
    "Channel": iommud.Connection,
    "Socket": socket.WebSocket,
    "IntxPin": values.IntxChange,
    "MemoryFaultKind": names.FaultKind,
}
# What is not here, and why.
NOT_HERE = {
    "connectOver": "a transport of one's own: core.session has the contract without a socket",
    "defineFunction": "a subclass of Device, and `declare` of its claim",
    "checkDevice": "the command `iommud check-device` drives a function of any language",
    "DeviceCheck": "as checkDevice",
    "MachineLink": "how the client is made inside",
    "MemoryRange": "arguments of own_memory",
    "OwnWrite": "a tuple: address, size",
    "WrittenRange": "arguments of Memory.read_dirty_log",
    "AccessContext": "the epoch of an access: the server knows a late answer by itself",
    "AreaRequest": "keywords of Ioas.map",
    "MapRequest": "keywords of Mappings.map",
    "DirtyRange": "keywords of Mappings.read_dirty",
    "InvalidateRequest": "a tuple: IOVA, pages",
    "IovaRange": "a tuple: first, last",
    "FoundRange": "a tuple: first, last",
    "NewDomain": "keywords of Domains.alloc",
    "RemapEntry": "keywords of Machine.remap_interrupt",
    "PlugReport": "Machine.plug answers with addresses",
    "InvalidationAnswer": "a literal: done, later",
    "BarDefinition": "a dict in `declare`",
    "Waited": "a call that only says how far the clock moved returns None: clock.now_ns tells",
    "CallName": "connection.call takes a name",
    "Calls": "iommud.messages",
    "EventName": "names of queues",
    "Events": "iommud.messages",
    "U64": "integers",
    "Access": "a str of r, w and x",
    "Failure": "what makes an IommudError",
    "Answer": "inside",
    "ChannelListener": "inside",
    "PeerAnswer": "inside",
    "PeerCall": "inside",
    "HeldCall": "values.HeldCall",
    "OpenSocket": "inside",
    "SocketListener": "inside",
    "Atomic": "Model.fetch_add, swap, compare_and_swap",
}
# Of a class: members by another name, or that are not there, and why.
MEMBERS: dict[str, dict[str, str]] = {
    "Bus": {"read64": "read with a size of 8"},
    "Clock": {"info": "now_ns"},
    "MemoryOwner": {"bytes": "size", "holds": "inside", "read": "Owner", "write": "Owner", "fence": "Owner"},
    "ClaimedFunction": {"read": "Device", "write": "Device", "alarm": "Device", "reset": "Device", "invalidate": "Device"},
    "Domain": {"id": "number"},
    "DeviceDma": {"atomic": "fetch_add, swap, compare_and_swap"},
    "Model": {"atomic": "fetch_add, swap, compare_and_swap"},
    "Region": {"read64": "read with a size of 8"},
    "Ioas": {"id": "number"},
    "Hold": {"id": "number"},
    "DeviceAts": {"note_invalidation": "note"},
}
CLASSES: dict[str, list[tuple[str, type]]] = {
    "bus.ts": [("Bus", bus.Bus), ("BusConfig", bus.BusConfig)],
    "call-holds.ts": [("CallHolds", machine.CallHolds), ("Hold", machine.Hold)],
    "clock.ts": [("Clock", machine.Clock), ("ClockPace", machine.ClockPace)],
    "device-ats.ts": [("DeviceAts", device_ats.DeviceAts)],
    "device-dma.ts": [("DeviceDma", device_dma.DeviceDma)],
    "device-role.ts": [("ClaimedFunction", claims.ClaimedFunction)],
    "domains.ts": [("Domain", domains.Domain), ("Domains", domains.Domains)],
    "fault-injection.ts": [("FaultInjection", faults.FaultInjection), ("ArmedFaults", faults.ArmedFaults)],
    "function-handle.ts": [("FunctionHandle", function.Function)],
    "ioas.ts": [("Ioas", ioas.Ioas), ("Ioases", ioas.Ioases)],
    "machine.ts": [("Machine", machine.Machine)],
    "mappings.ts": [("Mappings", mappings.Mappings)],
    "memory.ts": [("Memory", memory.Memory)],
    "memory-owner.ts": [("MemoryOwner", claims.OwnedMemory)],
    "model.ts": [("Model", model.Model)],
    "pasid.ts": [("PasidHandle", pasid.Pasid)],
    "recovery.ts": [("Recovery", recovery.Recovery)],
    "region.ts": [("Region", region.Region)],
    "reset.ts": [("ResetWindow", function.ResetWindow)],
    "slot.ts": [("Slot", slot.Slot)],
    "sriov.ts": [("Sriov", sriov.Sriov)],
}


def exported() -> list[str]:
    text = (CLIENT / "index.ts").read_text()
    lists = re.findall(r"export (?:type )?\{([^}]*)\}", text)
    return [name.split()[-1] for part in lists for name in part.split(",") if name.strip()]


def here(name: str) -> bool:
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    rooms = (iommud, values, names, machine, memory, model, domains, faults, device_dma, ioas, queue, socket, iommud.errors, bus)
    return name in ELSEWHERE or any(hasattr(room, one) for room in rooms for one in (name, snake))


def test_every_name_is_here_or_it_is_said_why_not() -> None:
    found = exported()
    assert len(found) > 100 and "Machine" in found and "connect" in found
    options = {name for name in found if name.endswith("Options")}
    gaps = [name for name in found if name not in options and name not in NOT_HERE and not here(name)]
    assert gaps == []


def test_what_is_said_to_be_missing_is_in_the_other_client_and_not_here() -> None:
    found = set(exported())
    assert {name for name in NOT_HERE if name not in found} == set()
    assert {name for name in ELSEWHERE if name not in found} == set()


def snaked(letter: re.Match[str]) -> str:
    return "_" + letter[0].lower()


def members(text: str, name: str) -> list[str]:
    """Of a class of TypeScript, in the words of Python: what is public, and no constructor."""
    body = re.search(rf"export class {name}\b[^{{]*\{{\n(.*?)\n\}}", text, re.DOTALL)
    assert body is not None, name
    found = re.findall(r"^  (?:async |get |readonly |static )*([a-z]\w*)(?=[(<:?]| =)", body[1], re.MULTILINE)
    return sorted({re.sub(r"[A-Z]", snaked, one) for one in found} - {"constructor"})


def attributes(kind: type) -> set[str]:
    ancestors = [one for one in inspect.getmro(kind) if one is not object]
    made: set[str] = {name for one in ancestors for name in re.findall(r"self\.([a-z]\w*)\b", inspect.getsource(one))}
    return {name for name in dir(kind) if not name.startswith("_")} | made


@pytest.mark.parametrize("file, name, kind", [(file, name, kind) for file, classes in CLASSES.items() for name, kind in classes])
def test_a_handle_has_every_method(file: str, name: str, kind: type) -> None:
    found = members((CLIENT / file).read_text(), name)
    explained = MEMBERS.get(name, {})
    assert found, f"{file} has no class {name} that this test reads"
    assert [one for one in found if one not in attributes(kind) and one not in explained] == []
    assert [one for one in explained if one not in found] == []


def test_events_are_queues_here_too() -> None:
    text = (CLIENT / "event-streams.ts").read_text()
    found = re.findall(r"^  readonly (\w+) = new EventQueue", text, re.MULTILINE)
    assert {re.sub(r"[A-Z]", snaked, one) for one in found} == set(iommud.core.events.QUEUES)


def test_every_call_of_the_contract_is_made_by_a_handle() -> None:
    """So that a call that is added is not forgotten here."""
    sources = "\n".join(path.read_text() for room in ("blocking", "core") for path in (Path(iommud.__file__).parent / room).glob("*.py"))
    calls = [name for name in iommud.gen.bodies.CALLS if not re.search(rf"\bb\.{name.upper()}\b", sources)]
    assert calls == []
