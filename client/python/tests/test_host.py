"""The host role, blocking."""

import threading

import pytest

import iommud
from iommud import IommudError, StartedMachine


def test_rogue_dma_and_reset(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    page = machine.memory.alloc(4096)
    dev.dma.map(iova=0x10000, address=page.address, size=4096, access="rw")
    assert dev.model.write(0x10000, b"hello").ok
    dev.model.write(0x11000, b"rogue")
    assert machine.faults.next().cause == "not-present"
    late = dev.model.start_write(0x10000, b"late", hold="translated")
    assert dev.reset("flr", deadline_ms=10, on_deadline="abort").aborted == 1
    assert late.result().outcome == "aborted"
    assert machine.memory.read(page.address, 5) == b"hello"


def test_a_fault_record_says_who_wanted_what_where(machine: StartedMachine) -> None:
    result = machine.function("00:02.0").model.write(0xFFFF_8000_0000_1234, b"far")
    assert not result.ok
    assert result.failed_iova == 0xFFFF_8000_0000_1234
    (record,) = machine.fault_records()
    assert (record.function, record.iova, record.access, record.number) == ("00:02.0", 0xFFFF_8000_0000_1234, "w", 1)
    assert record == machine.faults.next()


def test_memory_of_several_calls_comes_back_whole(machine: StartedMachine) -> None:
    size = (2 << 20) + 4096 + 5
    pattern = bytes(at * 7 + (at >> 8) & 0xFF for at in range(size))
    page = machine.memory.alloc(size)
    machine.memory.write(page.address, pattern)
    assert machine.memory.read(page.address, size) == pattern
    with pytest.raises(IommudError) as caught:
        machine.memory.read(1 << 55, 16)
    assert caught.value.name == "EFAULT"


def test_registers_read_one_by_one_many_and_as_bytes_agree(machine: StartedMachine) -> None:
    config = machine.function("00:02.0").config
    whole = config.read_bytes(0, 256)
    words = config.read_many(range(0, 256, 4))
    assert words == [int.from_bytes(whole[at : at + 4], "little") for at in range(0, 256, 4)]
    assert [config.read(at, 1) for at in range(4)] == list(whole[:4])
    assert config.read(2, 2) == int.from_bytes(whole[2:4], "little")


def test_more_reads_than_credits_are_all_answered_in_order(machine: StartedMachine) -> None:
    config = machine.function("00:02.0").config
    vendor, class_code = config.read(0), config.read(8)
    assert config.read_many([0, 8] * 3000) == [vendor, class_code] * 3000


def test_more_reply_bytes_than_credits_do_not_end_the_connection(machine: StartedMachine) -> None:
    page = machine.memory.alloc(1 << 20)
    dev = machine.function("00:02.0")
    dev.dma.map(iova=0, address=page.address, size=1 << 20, access="r")
    reads = [dev.model.start_read(0, 1 << 20) for _ in range(24)]
    assert all(len(read.result().data or b"") == 1 << 20 for read in reads)
    assert machine.connection.closed is None


def test_a_write_of_a_register_drops_what_is_beyond_its_width(machine: StartedMachine) -> None:
    config = machine.function("00:02.0").config
    config.write(0x3C, 0x12345, 1)
    assert config.read(0x3C, 1) == 0x45


def test_a_window_is_open_from_prepare_to_done(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    with dev.reset_prepare(deadline_ms=10) as window:
        assert window.report.depth == 1
        assert dev.info().summary.blocked
        again = dev.reset_prepare(deadline_ms=10, token=window.token)
        assert again.report.depth == 1
        with dev.reset_prepare(deadline_ms=10) as inner:
            assert inner.report.depth == 2
    assert not dev.info().summary.blocked
    assert [change.open for change in machine.windows.take()] == [True, False]


def test_a_call_that_waits_for_another_is_answered_when_that_ends(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    hold = machine.calls.hold("prepare", function="00:02.0", count=1)
    reset = dev.start_reset("flr", deadline_ms=10)
    assert [one.call for one in machine.calls.held()] == ["prepare"]
    assert not reset.done
    hold.release()
    assert reset.result().method == "flr"


def test_a_call_without_an_answer_says_what_was_awaited(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    hold = machine.calls.hold("prepare")
    reset = dev.start_reset("flr", deadline_ms=10)
    with pytest.raises(IommudError) as caught:
        reset.result(timeout=0.05)
    assert (caught.value.name, caught.value.errno, caught.value.field) == ("ETIMEDOUT", 110, "a reset of 00:02.0")
    machine.connection.timeout = 0.05
    with pytest.raises(IommudError, match="no answer to a reset of 00:02.0 within 0.05 s"):
        dev.reset("flr", deadline_ms=10)
    machine.connection.timeout = 10
    hold.release()
    assert reset.result().method == "flr"


def test_no_event_says_which_was_awaited(machine: StartedMachine) -> None:
    with pytest.raises(IommudError, match="no event of faults within 0.01 s"):
        machine.faults.next(timeout=0.01)


def test_what_the_server_refuses_is_typed(machine: StartedMachine) -> None:
    with pytest.raises(IommudError) as caught:
        machine.function("00:1f.7").config.read(0)
    assert (caught.value.errno, caught.value.name, caught.value.field) == (19, "ENODEV", "function")
    with pytest.raises(IommudError) as caught:
        machine.function("00:02.0").config.read(2, 4)
    assert caught.value.name == "EINVAL"


@pytest.mark.parametrize("bdf", ["", "2", "00:20.0", "00:02.8", "00:2.0", "zz:02.0", "00:02.0 "])
def test_what_is_no_address_of_a_function_is_told_at_once(machine: StartedMachine, bdf: str) -> None:
    with pytest.raises(IommudError) as caught:
        machine.function(bdf)
    assert (caught.value.name, caught.value.field) == ("EINVAL", "function")


def test_a_name_that_is_not_in_the_contract_is_told_with_those_that_are(machine: StartedMachine) -> None:
    with pytest.raises(IommudError, match="'warp' is none of device_specific, acpi, flr"):
        machine.function("00:02.0").reset("warp", deadline_ms=1)  # type: ignore[arg-type]


def test_a_domain_of_its_own_is_freed(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    page = machine.memory.alloc(4096)
    with machine.domains.alloc() as domain:
        domain.map(iova=0x4000, address=page.address, size=4096, access="r")
        dev.attach(domain)
        assert dev.dma.iova_to_phys(0x4000) == page.address
        assert dev.model.read(0x4000, 4).ok
        assert dev.model.write(0x4000, b"no").outcome == "not-permitted"
        with pytest.raises(IommudError) as caught:
            domain.free()
        assert caught.value.name == "EBUSY"
        dev.detach()
    with pytest.raises(IommudError):
        domain.iova_to_phys(0x4000)


@pytest.mark.iommud(clock="manual")
def test_a_manual_clock_moves_when_it_is_told_to(machine: StartedMachine) -> None:
    assert machine.clock.advance(1.5) == 1_500_000
    assert machine.clock.now_ns() == 1_500_000
    assert machine.info().clock == "manual"


@pytest.mark.iommud(preset="switch", seed=99)
def test_a_mark_says_which_machine_a_test_gets(machine: StartedMachine) -> None:
    assert machine.connection.granted.preset == "switch"
    assert machine.info().seed == 99


def test_any_call_of_the_contract_can_be_made(machine: StartedMachine) -> None:
    reply, _ = machine.connection.call("ioas_alloc", iommud.messages.IoasAlloc())
    assert isinstance(reply, iommud.messages.IoasAllocReply) and reply.ioas > 0
    with pytest.raises(IommudError, match="no call of the contract"):
        machine.connection.call("ioas_allok", iommud.messages.IoasAlloc())


def test_an_observer_may_look_and_not_touch(machine: StartedMachine) -> None:
    observer = machine.connect(["observer"])
    assert observer.machine.function("00:02.0").info().summary.vendor == 0x1234
    with pytest.raises(IommudError) as caught:
        observer.machine.memory.alloc(4096)
    assert caught.value.name == "EPERM"


def test_threads_share_a_connection(machine: StartedMachine) -> None:
    config = machine.function("00:02.0").config
    vendor = config.read(0)
    wrong: list[int] = []

    def read() -> None:
        for _ in range(50):
            wrong.extend(value for value in config.read_many([0] * 20) if value != vendor)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_connection_that_goes_on_is_not_waited_for_for_ever(machine: StartedMachine) -> None:
    with pytest.raises(IommudError) as caught:
        machine.connection.wait_closed(0.01)
    assert caught.value.name == "ETIMEDOUT"


def test_pending_calls_of_a_connection_that_closes_have_an_unknown_outcome(machine: StartedMachine) -> None:
    other = machine.connect(["host"])
    late = other.machine.function("00:02.0").model.start_read(0x5000, 16, hold="issued")
    other.close()
    with pytest.raises(IommudError) as caught:
        late.result()
    assert (caught.value.name, caught.value.errno) == ("ECONNRESET", 104)
    assert "what the call did is unknown" in caught.value.message
    with pytest.raises(IommudError):
        other.machine.info()
    with pytest.raises(IommudError):
        other.machine.faults.next()


def test_equal_programs_give_equal_trace_hashes(iommud_server: iommud.Address) -> None:
    def run() -> str:
        with iommud.start_machine(url=iommud_server.url, seed=5) as machine:
            dev = machine.function("00:02.0")
            dev.model.write(0x9000, b"x")
            with dev.reset_prepare(deadline_ms=3):
                pass
            return machine.trace_hash()

    assert run() == run()


def test_where_nobody_listens_there_is_no_connection() -> None:
    with pytest.raises(IommudError) as caught:
        iommud.connect("ws://127.0.0.1:1/v1/machines/x/socket", deadline=0.3)
    assert caught.value.name == "ETIMEDOUT"
    with pytest.raises(IommudError) as caught:
        iommud.connect("ws://127.0.0.1:1/v1/machines/x/socket", retry=False)
    assert caught.value.name == "ECONNRESET"
    with pytest.raises(IommudError) as caught:
        iommud.connect("gopher://example.org")
    assert (caught.value.name, caught.value.field) == ("EINVAL", "url")


def test_a_machine_that_is_not_there_is_no_device(iommud_server: iommud.Address) -> None:
    with pytest.raises(IommudError) as caught:
        iommud.connect(f"{iommud_server.url.replace('http', 'ws')}/v1/machines/nobody/socket")
    assert caught.value.name == "ENODEV"


def test_no_such_preset_is_what_the_service_says(iommud_server: iommud.Address) -> None:
    with pytest.raises(IommudError) as caught:
        iommud.start_machine(url=iommud_server.url, preset="warp")
    assert (caught.value.name, caught.value.field) == ("EINVAL", "preset")


def test_a_machine_that_was_deleted_ends_its_connections(iommud_server: iommud.Address) -> None:
    machine = iommud.start_machine(url=iommud_server.url)
    iommud.rest.delete_machine(machine.service, machine.id)
    with pytest.raises(IommudError) as caught:
        machine.faults.next()
    assert caught.value.name == "ECONNRESET"
    assert machine.connection.wait_closed(30).code == 1001
    assert machine.connection.closed == machine.connection.wait_closed()
    machine.close()


def test_pages_that_were_written_are_dirty_once(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    page = machine.memory.alloc(16 * 4096)
    domain = machine.domains.alloc(dirty_tracking=True)
    domain.map(iova=0, address=page.address, size=16 * 4096, access="rw")
    dev.attach(domain)
    with pytest.raises(IommudError) as caught:
        domain.read_dirty(iova=0, size=16 * 4096)
    assert caught.value.name == "EINVAL"
    assert domain.set_dirty_tracking(True) == 0
    for at in (1, 9, 15):
        assert dev.model.write(at * 4096 + 5, b"x").ok
    assert domain.read_dirty(iova=0, size=16 * 4096, no_clear=True).pages == (0x1000, 0x9000, 0xF000)
    assert domain.read_dirty(iova=0x8000, size=8 * 4096).pages == (0x9000, 0xF000)
    last = domain.read_dirty(iova=0, size=16 * 4096)
    assert (last.pages, last.timed_out) == ((0x1000,), 0)


def test_what_is_unmapped_is_told_in_ranges(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    page = machine.memory.alloc(4096)
    for at in (0x2000, 0x5000):
        dev.dma.map(iova=at, address=page.address, size=4096, access="r")
    assert dev.dma.unmapped(iova=0, size=0x8000) == [(0, 0x1FFF), (0x3000, 0x4FFF), (0x6000, 0x7FFF)]
    # More than one call tells.
    for at in range(1100):
        dev.dma.map(iova=0x10_0000 + at * 0x2000, address=page.address, size=4096, access="r")
    assert len(dev.dma.unmapped(iova=0x10_0000, size=1100 * 0x2000)) == 1100


def test_the_iova_may_be_left_to_the_dma_api(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    page = machine.memory.alloc(4096)
    mapped = dev.dma.map(address=page.address, size=4096, access="rw")
    assert dev.model.write(mapped.iova, b"anywhere").ok
    assert dev.dma.unmap(iova=mapped.iova, size=4096).size == 4096


def test_a_page_fault_waits_for_a_host(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    domain = machine.domains.alloc(faults=True)
    dev.attach(domain)
    page = machine.memory.alloc(4096)
    late = dev.model.start_write(0x7000, b"demand", translated=True, on_fault="page-request")
    fault = machine.page_faults.next()
    assert (fault.function, fault.domain, [(one.iova, one.pages) for one in fault.ranges]) == ("00:02.0", domain.number, [(0x7000, 1)])
    assert machine.pending_page_faults() == [fault]
    domain.map(iova=0x7000, address=page.address, size=4096, access="rw")
    machine.answer_page_fault(fault.number)
    assert late.result().ok
    assert machine.memory.read(page.address, 6) == b"demand"
    with pytest.raises(IommudError) as caught:
        machine.answer_page_fault(fault.number)
    assert caught.value.name == "EINVAL"


def test_a_broken_function_is_blocked_until_a_reset(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    dev.report_broken()
    assert dev.model.write(0, b"x").outcome in ("blocked-domain", "gate-closed")
    dev.reset("flr", deadline_ms=10)
    assert dev.model.write(0, b"x").outcome == "not-present"


@pytest.mark.iommud(
    behaviour="strict", topology={"schema": "iommud.topology/v1", "functions": [{"address": "00:1c.0", "model": "root-port", "slot": {}}]}
)
def test_functions_are_plugged_and_taken_out(machine: StartedMachine) -> None:
    (bdf,) = machine.plug([{"address": "00.0", "model": "dma-probe"}], port="00:1c.0")
    assert machine.function(bdf).info().summary.model == "dma-probe"
    assert machine.function("00:1c.0").unplug().functions == (bdf,)
    changes = [(change.function, change.present, change.reason) for change in machine.hotplug.take()]
    assert changes == [(bdf, True, "plugged"), (bdf, False, "unplugged")]


def test_atomics_give_what_was_there(machine: StartedMachine) -> None:
    dev = machine.function("00:02.0")
    page = machine.memory.alloc(4096)
    dev.dma.map(iova=0, address=page.address, size=4096, access="rw")
    machine.memory.write(page.address, (40).to_bytes(8, "little"))
    assert dev.model.fetch_add(0, -2).data == (40).to_bytes(8, "little")
    assert dev.model.swap(0, 7, 4).data == (38).to_bytes(4, "little")
    assert dev.model.compare_and_swap(0, 7, 9).ok
    assert machine.memory.read(page.address, 8) == (9).to_bytes(8, "little")
    with pytest.raises(IommudError) as caught:
        dev.model.fetch_add(0, 1, privileged=True)
    assert (caught.value.name, caught.value.field) == ("EINVAL", "privileged")


def test_a_simulation_sets_the_pace_of_the_clock(machine: StartedMachine) -> None:
    simulation = machine.connect(["device"])
    with simulation.machine.clock.hold() as pace:
        # 100 ms until the function is ready.
        reset = machine.function("00:02.0").start_reset("flr", deadline_ms=10)
        # The grant goes by another connection: without an answer on this one it may come first.
        assert machine.function("00:02.0").info().summary.reset_depth == 1
        assert pace.grant(30) == 30_000_000
        assert not reset.done
        assert machine.clock.now_ns() == 30_000_000
        assert pace.grant(70.5) == 100_500_000
        assert reset.result().method == "flr"
    machine.function("00:02.0").reset("flr", deadline_ms=10)
    with pytest.raises(IommudError) as caught:
        pace.grant(1)
    assert caught.value.name == "EINVAL"
