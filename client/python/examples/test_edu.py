"""The same driver against the edu of examples/edu.py and against the one that the server has: neither can be told from the other."""

import pytest

from edu import BUFFER, BUFFER_SIZE, EDU, RAISE, TO_RAM, Edu, EduDriver
from iommud import StartedMachine

pytestmark = pytest.mark.iommud(
    topology={
        "schema": "iommud.topology/v1",
        "memory": [{"address": "0x40000000", "size": "64MiB"}],
        "iommu": {"invalidationTimeout": "60s"},
        "functions": [
            {"address": "00:00.0", "model": "host-bridge"},
            {"address": "00:03.0", "model": "edu"},
            {"address": "00:04.0", "model": "remote"},
        ],
    }
)


@pytest.fixture(params=["00:03.0", "00:04.0"], ids=["server", "python"])
def driver(request: pytest.FixtureRequest, machine: StartedMachine) -> EduDriver:
    machine.connect(["device"]).claim("00:04.0", Edu(), declare=EDU)
    return EduDriver(machine, request.param)


def test_it_says_what_it_is_and_is_there(driver: EduDriver) -> None:
    assert driver.registers.read(0x00) == 0x0100_00ED
    driver.registers.write(0x04, 0x1234_5678)
    assert driver.registers.read(0x04) == 0xEDCB_A987


@pytest.mark.parametrize("of, factorial", [(0, 1), (1, 1), (5, 120), (12, 479_001_600), (13, 1_932_053_504), (34, 0), (2**32 - 1, 0)])
def test_it_computes_modulo_2_to_32(driver: EduDriver, of: int, factorial: int) -> None:
    assert driver.factorial(of) == factorial


def test_bytes_go_through_its_buffer_and_the_iommu(driver: EduDriver) -> None:
    assert driver.round_trip(b"there and back") == b"there and back"
    assert driver.round_trip(bytes(range(256)) * 8) == bytes(range(256)) * 8


def test_what_it_may_not_reach_is_a_fault_record_and_its_buffer_stays(driver: EduDriver, machine: StartedMachine) -> None:
    driver.round_trip(b"kept")
    driver.transfer(0x9000, BUFFER, 4, 0)
    fault = machine.faults.next()
    assert (fault.function, fault.iova, fault.access, fault.cause) == (driver.function.bdf, 0x9000, "r", "not-present")
    driver.transfer(BUFFER, driver.iova, 4, TO_RAM)
    assert driver.memory.read(driver.page, 4) == b"kept"


@pytest.mark.parametrize("source, count", [(BUFFER + BUFFER_SIZE - 1, 2), (BUFFER - 1, 1), (BUFFER, BUFFER_SIZE + 1), (0, 4)])
def test_beyond_its_buffer_it_transfers_nothing(driver: EduDriver, machine: StartedMachine, source: int, count: int) -> None:
    driver.memory.write(driver.page, b"untouched")
    driver.transfer(source, driver.iova, count, TO_RAM)
    assert driver.memory.read(driver.page, 9) == b"untouched"
    assert machine.fault_records() == []


def test_widths_that_it_has_not_read_all_ones(driver: EduDriver) -> None:
    registers = driver.registers
    registers.write(0x04, 0, 1)
    assert registers.read(0x04) == 0
    assert (registers.read(0x00, 1), registers.read(0x00, 2), registers.read(0x10), registers.read(0x60)) == (
        0xFF,
        0xFFFF,
        2**32 - 1,
        2**32 - 1,
    )
    registers.write(0x90, 0x1_0000_0002, 8)
    assert (registers.read(0x90, 8), registers.read(0x90, 4)) == (0x1_0000_0002, 2)
    registers.write(0x90, 3, 4)
    assert registers.read(0x90, 8) == 3


def test_it_interrupts_by_its_line_until_that_is_acknowledged(driver: EduDriver, machine: StartedMachine) -> None:
    registers = driver.registers
    registers.write(0x20, 0x80)
    assert driver.factorial(4) == 24
    driver.transfer(driver.iova, BUFFER, 4, RAISE)
    assert registers.read(0x24) == 0x101
    registers.write(0x64, 0x001)
    registers.write(0x64, 0x100)
    assert registers.read(0x24) == 0
    changes = [(change.function, change.asserted) for change in machine.intx.take()]
    assert changes == [(driver.function.bdf, True), (driver.function.bdf, False)]


def test_a_reset_clears_it(driver: EduDriver) -> None:
    driver.registers.write(0x04, 1)
    driver.registers.write(0x60, 0x10)
    method = driver.function.reset(deadline_ms=10).method
    assert method in ("flr", "pm")
    assert driver.registers.read_many([0x04, 0x24]) == [0, 0]
