"""The host's handles beside DMA and resets: each does what the client for TypeScript has it do."""

from pathlib import Path

import pytest

import iommud
from iommud import IommudError, StartedMachine

PAGE = 4096
BASE = 0x100_0000


def topology(*functions: dict[str, object], **rest: object) -> dict[str, object]:
    return {"schema": "iommud.topology/v1", "functions": list(functions), **rest}


CARD = [{"address": "00.0", "model": "dma-probe"}]


def refusal(run: object, *arguments: object, **named: object) -> str:
    with pytest.raises(IommudError) as caught:
        run(*arguments, **named)  # type: ignore[operator]
    return caught.value.name


def test_areas_of_an_address_space_are_what_a_function_reaches(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    ioas = machine.ioas.create()
    assert refusal(dev.attach, ioas) == "EINVAL"
    dev.claim_owner()
    dev.attach(ioas)
    memory = machine.memory.alloc(2 * PAGE).address
    assert ioas.map(address=memory, size=PAGE, access="rw", iova=BASE).iova == BASE
    chosen = ioas.map(address=memory + PAGE, size=PAGE, access="r").iova
    assert dev.model.write(BASE, b"in it").ok
    assert (dev.model.read(chosen, 4).ok, dev.model.write(chosen, b"no").outcome) == (True, "not-permitted")
    assert refusal(ioas.map, address=memory, size=PAGE, access="r", iova=BASE) == "EEXIST"
    other = machine.ioas.create()
    assert other.copy(ioas, source_iova=BASE, size=PAGE, access="r", iova=0x8000).iova == 0x8000
    assert refusal(ioas.free) == "EBUSY"
    assert ioas.unmap(iova=BASE, size=PAGE).size == PAGE
    assert dev.model.write(BASE, b"gone").outcome == "not-present"
    assert ioas.unmap().size == PAGE
    dev.detach()
    with ioas:
        pass
    assert refusal(machine.ioas.get(ioas.number).free) == "ENOENT"


def test_an_address_space_says_what_may_be_mapped(machine: StartedMachine) -> None:
    ioas = machine.ioas.create()
    whole = ioas.ranges()
    assert (whole.ranges, whole.count, whole.error) == (((0, 2**64 - 1),), 1, None)
    memory = machine.memory.alloc(PAGE).address
    ioas.map(address=memory, size=PAGE, access="r", iova=BASE)
    assert ioas.ranges(unmapped=True).ranges == ((0, BASE - 1), (BASE + PAGE, 2**64 - 1))
    assert ioas.ranges(unmapped=True, max=1).error == "EMSGSIZE"
    ioas.allow([(0x7000, 0x7FFF)])
    assert ioas.map(address=memory, size=PAGE, access="r").iova == 0x7000
    assert refusal(ioas.map, address=memory, size=PAGE, access="r") == "ENOSPC"


def test_a_domain_and_a_pasid_stand_for_an_address_space(machine: StartedMachine) -> None:
    ioas = machine.ioas.create()
    memory = machine.memory.alloc(PAGE).address
    ioas.map(address=memory, size=PAGE, access="rw", iova=BASE)
    dev = machine.function("00:02.0")
    dev.claim_owner()
    domain = machine.domains.alloc(ioas=ioas)
    dev.attach(domain)
    assert dev.model.write(BASE, b"through a domain").ok
    assert machine.domains.get(domain.number).iova_to_phys(BASE) == memory
    pasid = dev.pasid(5)
    own = machine.domains.alloc()
    own.map(iova=0x9000, address=memory, size=PAGE, access="r")
    pasid.attach(own)
    assert refusal(pasid.attach, ioas) == "EBUSY"
    assert pasid.iova_to_phys(0x9000) == memory
    assert dev.model.read(0x9000, 7, pasid=5).data == b"through"
    pasid.attach(ioas, replace=True)
    assert dev.model.read(BASE, 7, pasid=5).data == b"through"
    pasid.detach()
    assert not dev.model.read(BASE, 7, pasid=5).ok


def test_a_guest_invalidates_what_is_cached_of_its_tables(machine: StartedMachine) -> None:
    tables = machine.memory.alloc(4 * PAGE).address
    page = machine.memory.alloc(PAGE).address
    for level in range(4):
        entry = (tables + (level + 1) * PAGE if level < 3 else page) | 0x7
        machine.memory.write(tables + level * PAGE, entry.to_bytes(8, "little"))
    domain = machine.domains.alloc(root=tables)
    dev = machine.function("00:02.0")
    dev.attach(domain)
    assert dev.model.write(0, b"mapped").ok
    machine.memory.write(tables + 3 * PAGE, bytes(8))
    report = domain.invalidate("vtd-s1", [(0, 1), (1, 1), (0, 2**64 - 1)])
    assert (report.processed, report.error, report.timed_out) == (1, "EINVAL", 0)
    assert "1" in report.message
    assert dev.model.write(0, b"gone").outcome == "not-present"
    assert domain.invalidate("vtd-s1", [(0, 2**64 - 1)]).error is None


def test_a_processor_reaches_memory_and_registers_by_address(machine: StartedMachine) -> None:
    memory = machine.memory.alloc(PAGE).address
    machine.bus.write(memory, -2, 8)
    assert machine.memory.read(memory, 8) == b"\xfe" + b"\xff" * 7
    assert (machine.bus.read(memory, 8), machine.bus.read(memory, 2)) == (2**64 - 2, 0xFFFE)
    dev = machine.function("00:02.0")
    config = machine.bus.config("00:02.0")
    assert config.read(0) == dev.config.read(0)
    config.write(0x3C, 0x5A, 1)
    assert dev.config.read(0x3C, 1) == 0x5A
    bar = dev.regions()[0]
    dev.config.write(4, 6, 2)
    assert machine.bus.read(bar.address) == dev.bar(0).read(0)
    assert machine.bus.config("00:1f.7").read(0) == 0xFFFF_FFFF
    machine.bus.write(0xCF8, 0x8000_1000, space="io")
    assert machine.bus.read(0xCFC, space="io") == dev.config.read(0)
    assert iommud.config_address("01:02.3", 0x10) == 0x11_3010
    for bad in (lambda: machine.bus.read(memory + 1), lambda: machine.bus.read(memory, 3), lambda: config.read(4096)):
        assert refusal(bad) == "EINVAL"


PHYSICAL = "01:00.0"


@pytest.mark.iommud(
    topology=topology(
        {
            "address": "00:1c.0",
            "model": "root-port",
            "children": [{"address": "00.0", "model": "dma-probe", "capabilities": {"sriov": {"vfs": 4}}}],
        }
    )
)
def test_virtual_functions_come_and_go(machine: StartedMachine) -> None:
    sriov = machine.function(PHYSICAL).sriov
    info = sriov.info()
    assert (info.enabled, info.functions, info.total_functions) == (False, 0, 4)
    assert (refusal(sriov.enable, 5), refusal(sriov.enable, 0)) == ("EINVAL", "EINVAL")
    first, second = sriov.enable(2)
    assert (first, second, refusal(sriov.enable, 1)) == ("01:00.1", "01:00.2", "EBUSY")
    assert (machine.hotplug.next().function, machine.hotplug.next().reason) == (first, "vf-enabled")
    virtual = machine.function(first)
    assert virtual.info().summary.physical_function == PHYSICAL
    virtual.config.write(4, 4, 2)
    page = machine.memory.alloc(PAGE)
    virtual.dma.map(iova=0, address=page.address, size=PAGE, access="w")
    assert virtual.model.write(0, b"virtual").ok
    assert sriov.info().enabled
    sriov.disable()
    assert [one.function for one in machine.functions()] == ["00:1c.0", PHYSICAL]
    assert refusal(virtual.sriov.info) == "ENODEV"
    assert refusal(machine.function("00:1c.0").sriov.info) == "EOPNOTSUPP"


PORT = "00:1c.0"


@pytest.mark.iommud(
    topology=topology(
        {"address": PORT, "model": "root-port", "slot": {"memory": "2MiB", "buses": 2}, "capabilities": {"slot": {"number": 3}}}
    )
)
def test_a_slot_is_turned_on_for_a_card_and_its_button_asks_for_it_back(machine: StartedMachine) -> None:
    slot = machine.function(PORT).slot
    assert slot.info() == iommud.values.SlotInfo(False, False, False, ())
    (bdf,) = machine.plug(CARD, port=PORT)
    card = machine.function(bdf)
    assert slot.info() == iommud.values.SlotInfo(True, False, False, ("presence",))
    assert card.config.read(0, 2) == 0xFFFF
    slot.power(True)
    assert card.config.read(0, 2) == 0x1234
    assert slot.info() == iommud.values.SlotInfo(True, True, True, ("presence", "command-completed", "link"))
    slot.clear()
    slot.signal("attention-button")
    assert slot.info().events == ("attention-button",)
    assert (refusal(slot.signal, "latch-opened"), refusal(card.slot.info)) == ("EOPNOTSUPP", "EOPNOTSUPP")
    slot.power(False)
    assert card.config.read(0, 2) == 0xFFFF


@pytest.mark.iommud(topology=topology({"address": PORT, "model": "root-port", "slot": {}}))
def test_what_is_pulled_out_says_what_was_lost(machine: StartedMachine) -> None:
    assert refusal(machine.function(PORT).slot.power, True) == "EOPNOTSUPP"
    (bdf,) = machine.plug(CARD, port=PORT)
    card = machine.function(bdf)
    page = machine.memory.alloc(PAGE)
    card.dma.map(iova=0, address=page.address, size=PAGE, access="rw")
    card.config.write(4, 4, 2)
    late = card.model.start_write(0, b"late", hold="translated")
    report = card.unplug(surprise=True)
    assert (report.functions, report.drained, report.aborted) == ((bdf,), 0, 1)
    assert late.result().outcome == "aborted"
    assert refusal(card.unplug) == "ENODEV"


@pytest.mark.iommud(preset="switch")
def test_an_error_is_recovered_from_as_drivers_vote(machine: StartedMachine) -> None:
    at = next(one.function for one in machine.functions() if one.model == "dma-probe")
    dev = machine.function(at)
    page = machine.memory.alloc(PAGE)
    dev.dma.map(iova=0, address=page.address, size=PAGE, access="rw")
    machine.enable_error_reporting()
    dev.faults.arm("poisoned-data")
    assert dev.model.read(0, 4).outcome == "poisoned"
    told = machine.errors.next()
    assert (told.function, told.error, told.severity, told.message) == (at, "poisoned", "nonfatal", "nonfatal")
    dev.recovery.vote("error-detected", "need-reset")
    report = dev.recovery.recover()
    assert (report.recovered, report.status, report.reset, report.warning) == (True, "recovered", "bus", "")
    assert at in report.affected and report.elapsed_ms > 0
    dev.recovery.vote("error-detected", "no-driver")
    report = dev.recovery.recover(frozen=True)
    assert (report.recovered, report.status, report.reset) == (False, "no-driver", "none")


@pytest.mark.iommud(
    topology=topology(
        {"address": "00:02.0", "model": "dma-probe", "directRegions": [{"address": "0x7f000000", "size": "8KiB", "relaxable": True}]}
    )
)
def test_a_function_says_which_addresses_are_not_to_be_given_away(machine: StartedMachine) -> None:
    info = machine.function("00:02.0").info()
    assert info.direct_regions == (iommud.values.DirectRegion(0x7F00_0000, 8192, True),)
    assert iommud.values.ReservedRegion(0x7F00_0000, 8192, "direct-relaxable") in info.reserved_regions
    assert (0xFEE0_0000, "msi") in [(one.address, one.type) for one in info.reserved_regions]


def test_a_fault_of_memory_is_in_force_for_its_time(machine: StartedMachine) -> None:
    page = machine.memory.alloc(PAGE).address
    dev = machine.function("00:02.0")
    dev.dma.map(iova=0, address=page, size=PAGE, access="rw")
    number = machine.armed.arm_memory("memory-errors", address=page, size=PAGE, count=0, from_ms=5, until_ms=10)
    (armed,) = machine.armed.list()
    assert (armed.armed, armed.from_ms, armed.until_ms, armed.in_force) == (number, 5, 10, False)
    outcomes = []
    for ms in (0, 6, 6):
        machine.clock.advance(ms)
        outcomes.append(dev.model.read(0, 4).outcome)
    assert outcomes == ["performed", "completer-abort", "performed"]
    assert machine.fault_overflow() == 0


def test_the_status_says_what_a_call_waits_for(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    page = machine.memory.alloc(PAGE)
    dev.dma.map(iova=0, address=page.address, size=PAGE, access="rw")
    late = dev.model.start_write(0, b"late", hold="translated")
    dev.ledger()
    status = machine.status()
    assert [one["roles"] for one in status["peers"]] == [["host", "observer"]]
    assert [one["function"] for one in status["waiting"]] == ["00:02.0"]
    dev.release()
    assert late.result().ok


def test_a_recording_runs_again_and_is_the_same(machine: StartedMachine, tmp_path: Path) -> None:
    file = tmp_path / "machine.iommurec"
    with machine.record(file):
        machine.function("00:02.0").model.write(0x9000, b"rogue")
        hash = machine.trace_hash()
    played = iommud.replay(file)
    assert (played.same, played.difference, played.crash, played.trace_hash) == (True, None, None, hash)
    assert played.inputs > 0 and played.outputs > 0
    (tmp_path / "none").write_bytes(b"no recording")
    assert (refusal(iommud.replay, tmp_path / "none"), refusal(iommud.replay, tmp_path / "absent")) == ("EINVAL", "EINVAL")


def test_a_machine_goes_on_from_a_snapshot(machine: StartedMachine) -> None:
    page = machine.memory.alloc(PAGE)
    machine.memory.write(page.address, b"kept")
    machine.function("00:02.0").dma.map(iova=0, address=page.address, size=PAGE, access="r")
    service = machine.service
    with iommud.start_machine(url=service.url, token=service.token, snapshot=machine.snapshot(), name="goes-on") as other:
        assert (other.name, other.id == machine.id) == ("goes-on", False)
        assert other.function("00:02.0").model.read(0, 4).data == b"kept"
        other.memory.write(page.address, b"own!")
    assert machine.memory.read(page.address, 4) == b"kept"
