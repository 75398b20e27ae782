"""The memory role: guest memory that a program owns."""

import threading

import pytest

import iommud
from iommud import IommudError, Ram, StartedMachine
from iommud.values import IndeterminateRange

ADDRESS = 0x2_0000_0000
SIZE = 0x10000


def test_functions_and_hosts_reach_what_it_owns(machine: StartedMachine) -> None:
    ram = Ram(ADDRESS, SIZE)
    machine.connect(["memory"]).own_memory(ADDRESS, SIZE, ram)
    dev = machine.function("00:02.0")
    dev.dma.map(iova=0x10000, address=ADDRESS, size=0x2000, access="rw")
    assert dev.model.write(0x10FFE, b"over the edge").ok
    assert ram.bytes[0xFFE:0x100B] == b"over the edge"
    assert dev.model.read(0x10FFE, 13).data == b"over the edge"
    machine.memory.write(ADDRESS + 0x3000, b"by the host")
    assert machine.memory.read(ADDRESS + 0x3000, 11) == b"by the host" == ram.bytes[0x3000:0x300B]


def test_memory_whose_owner_vanishes_is_absent_until_another_owns_it(machine: StartedMachine) -> None:
    ram = Ram(ADDRESS, SIZE)
    owner = machine.connect(["memory"])
    owner.own_memory(ADDRESS, SIZE, ram)
    dev = machine.function("00:02.0")
    dev.dma.map(iova=0x10000, address=ADDRESS, size=0x1000, access="rw")
    owner.close()
    assert machine.memory_changes.next().change == "owned"
    change = machine.memory_changes.next()
    assert (change.address, change.size, change.change) == (ADDRESS, SIZE, "absent")
    lost = dev.model.write(0x10000, b"lost")
    assert (lost.outcome, lost.absent_owner) == ("completer-abort", change.peer)
    machine.connect(["memory"]).own_memory(ADDRESS, SIZE, ram)
    assert machine.memory_changes.next().change == "back"
    assert dev.model.write(0x10000, b"kept").ok
    assert ram.bytes[:4] == b"kept"


def test_a_log_of_what_is_written_has_what_the_owner_tells(machine: StartedMachine) -> None:
    ram = Ram(ADDRESS, SIZE)
    owned = machine.connect(["memory"]).own_memory(ADDRESS, SIZE, ram)
    assert owned.dirty([(ADDRESS, 1)]) is False
    with pytest.raises(IommudError) as caught:
        machine.memory.read_dirty_log(ADDRESS, SIZE)
    assert caught.value.name == "EINVAL"
    machine.memory.set_dirty_log(True)
    dev = machine.function("00:02.0")
    dev.dma.map(iova=0x10000, address=ADDRESS, size=0x2000, access="rw")
    assert dev.model.write(0x10FFE, b"two pages").ok
    assert owned.dirty([(ADDRESS + 0x4FFF, 2)] * 300) is True
    written = [ADDRESS, ADDRESS + 0x1000, ADDRESS + 0x4000, ADDRESS + 0x5000]
    assert machine.memory.read_dirty_log(ADDRESS, SIZE, no_clear=True) == written
    assert machine.memory.read_dirty_log(ADDRESS, SIZE, page_size=0x8000) == [ADDRESS]
    assert machine.memory.read_dirty_log(ADDRESS, SIZE) == []
    with pytest.raises(IommudError) as caught:
        owned.dirty([(ADDRESS, 1), (ADDRESS + SIZE, 1)])
    assert caught.value.name == "EFAULT"


def test_an_owner_that_errs_is_an_error_and_an_abort(machine: StartedMachine) -> None:
    class Bad(iommud.Owner):
        def read(self, address: int, size: int) -> bytes:
            if address == ADDRESS:
                return b"short"
            raise OSError("no such page")

        def write(self, address: int, data: bytes) -> None:
            raise OSError("read-only")

    machine.connect(["memory"]).own_memory(ADDRESS, SIZE, Bad())
    for address, what in ((ADDRESS, "5 bytes where 16"), (ADDRESS + 4096, "no such page")):
        with pytest.raises(IommudError) as caught:
            machine.memory.read(address, 16)
        assert caught.value.name == "EIO"
        assert what in caught.value.message
    dev = machine.function("00:02.0")
    dev.dma.map(iova=0, address=ADDRESS, size=4096, access="rw")
    assert dev.model.read(0, 16).outcome in ("unsupported-request", "completer-abort", "external-abort")


def test_a_write_that_was_sent_is_indeterminate_until_its_owner_answers_the_fence(machine: StartedMachine) -> None:
    class Slow(Ram):
        def __init__(self) -> None:
            super().__init__(ADDRESS, SIZE)
            self.started, self.go_on = threading.Event(), threading.Event()
            self.happened: list[str] = []

        def write(self, address: int, data: bytes) -> None:
            self.started.set()
            assert self.go_on.wait(30)
            super().write(address, data)
            self.happened.append("written")

        def fence(self, address: int, size: int) -> None:
            self.happened.append("fence")

    owner = Slow()
    machine.connect(["memory"]).own_memory(ADDRESS, SIZE, owner)
    dev = machine.function("00:02.0")
    dev.dma.map(iova=0, address=ADDRESS, size=4096, access="rw")
    late = dev.model.start_write(0, b"late")
    assert owner.started.wait(30)
    reset = dev.start_reset("flr", deadline_ms=0, on_deadline="abort")
    assert late.result().outcome == "indeterminate"
    assert [entry.point for entry in dev.ledger()] == ["indeterminate"]
    assert not reset.done
    owner.go_on.set()
    report = reset.result()
    assert (report.indeterminate, report.window.indeterminate_ranges) == (1, (IndeterminateRange(ADDRESS, 4),))
    assert owner.happened == ["written", "fence"]
    assert owner.bytes[:4] == b"late"


def test_a_range_is_owned_once_and_given_up(machine: StartedMachine) -> None:
    owner = machine.connect(["memory"])
    with owner.own_memory(ADDRESS, SIZE, Ram(ADDRESS, SIZE), depth=4):
        with pytest.raises(IommudError) as caught:
            owner.own_memory(ADDRESS + 4096, 4096, Ram(ADDRESS, SIZE))
        assert caught.value.name == "EADDRINUSE"
    with pytest.raises(IommudError) as caught:
        machine.memory.read(ADDRESS, 4)
    assert caught.value.name == "EFAULT"
    owner.own_memory(ADDRESS, SIZE, Ram(ADDRESS, SIZE))
    with pytest.raises(IommudError) as caught:
        owner.own_memory(ADDRESS + 1, SIZE, Ram(ADDRESS, SIZE))
    assert caught.value.name == "EINVAL"
