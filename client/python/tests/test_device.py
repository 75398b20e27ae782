"""The device role: a function that a program is."""

import threading
import time
from typing import Callable, Literal

import pytest

import iommud
from iommud import Invalidation, IommudError, RegionAccess, StartedMachine, Translation
from iommud.values import DmaResult

BDF = "00:04.0"


class Scratch(iommud.Device):
    """Registers that keep what is written, and a list of what happened."""

    def __init__(self) -> None:
        self.registers: dict[int, int] = {}
        self.happened: list[object] = []

    def read(self, access: RegionAccess) -> int:
        self.happened.append(access)
        return self.registers.get(access.offset, 0)

    def write(self, access: RegionAccess, value: int) -> None:
        self.happened.append((access, value))
        self.registers[access.offset] = value

    def reset(self, method: str) -> None:
        self.happened.append(method)
        self.registers.clear()


def test_accesses_reach_it_in_order_with_region_offset_and_width(machine: StartedMachine) -> None:
    device = Scratch()
    machine.connect(["device"]).claim(BDF, device)
    bar = machine.function(BDF).bar(0)
    bar.write(0x10, 0x1_2345_6789, 4)
    bar.write(0x18, 0xFFFF_FFFF_FFFF_FFFE, 8)
    assert (bar.read(0x10), bar.read(0x18, 8), bar.read(0x20, 1)) == (0x2345_6789, 0xFFFF_FFFF_FFFF_FFFE, 0)
    assert device.happened == [
        (RegionAccess(0, 0x10, 4), 0x2345_6789),
        (RegionAccess(0, 0x18, 8), 0xFFFF_FFFF_FFFF_FFFE),
        RegionAccess(0, 0x10, 4),
        RegionAccess(0, 0x18, 8),
        RegionAccess(0, 0x20, 1),
    ]


def test_many_accesses_at_once_keep_their_order(machine: StartedMachine) -> None:
    class Counter(iommud.Device):
        count = 0

        def read(self, access: RegionAccess) -> int:
            self.count += 1
            return self.count

    machine.connect(["device"]).claim(BDF, Counter())
    assert machine.function(BDF).bar(0).read_many([0] * 300) == list(range(1, 301))


def test_writes_of_one_call_come_one_by_one_in_order(machine: StartedMachine) -> None:
    device = Scratch()
    machine.connect(["device"]).claim(BDF, device)
    machine.function(BDF).bar(0).write_many([(at * 4, at) for at in range(50)])
    assert device.happened == [(RegionAccess(0, at * 4, 4), at) for at in range(50)]


def test_what_it_raises_is_what_the_host_is_told(machine: StartedMachine) -> None:
    class Broken(iommud.Device):
        def read(self, access: RegionAccess) -> int:
            if access.offset == 0:
                raise iommud.errors.error("EBUSY", "not now")
            if access.offset == 4:
                raise ZeroDivisionError("division by zero")
            return 1 << 32

    machine.connect(["device"]).claim(BDF, Broken())
    bar = machine.function(BDF).bar(0)
    for offset, name, message in ((0, "EBUSY", "not now"), (4, "EIO", "ZeroDivisionError"), (8, "EIO", "4 bytes")):
        with pytest.raises(IommudError) as caught:
            bar.read(offset)
        assert caught.value.name == name
        assert message in caught.value.message


def test_it_does_dma_before_it_answers(machine: StartedMachine) -> None:
    class Upper(iommud.Device):
        outcome = ""

        def write(self, access: RegionAccess, value: int) -> None:
            got = self.dma.read(0x10000, value)
            self.outcome = got.outcome
            if got.ok and got.data:
                self.dma.write(0x10000, got.data.upper())

    device = Upper()
    machine.connect(["device"]).claim(BDF, device)
    dev = machine.function(BDF)
    page = machine.memory.alloc(4096)
    dev.dma.map(iova=0x10000, address=page.address, size=4096, access="rw")
    machine.memory.write(page.address, b"make me loud")
    dev.bar(0).write(0, 12)
    assert (device.outcome, machine.memory.read(page.address, 12)) == ("performed", b"MAKE ME LOUD")
    dev.dma.unmap(iova=0x10000, size=4096)
    dev.bar(0).write(0, 12)
    assert device.outcome == "not-present"
    assert machine.faults.next().function == BDF


def test_dma_of_more_than_one_call_comes_back_whole(machine: StartedMachine) -> None:
    claimed = machine.connect(["device"]).claim(BDF, Scratch())
    size = (2 << 20) + 4096
    page = machine.memory.alloc(size)
    machine.function(BDF).dma.map(iova=0, address=page.address, size=size, access="rw")
    pattern = bytes(range(256)) * (size // 256)
    wrote = claimed.dma.write(0, pattern)
    assert (wrote.ok, wrote.size, wrote.requests) == (True, size, size // 4096 * (4096 // 256))
    read = claimed.dma.read(0, size)
    assert (read.size, read.data == pattern) == (size, True)
    half = claimed.dma.read(4096, size)
    assert (half.ok, half.size, half.failed_iova, len(half.data or b"")) == (False, size - 4096, size, size - 4096)


def test_a_posted_write_lands_and_a_lost_one_is_a_fault_record(machine: StartedMachine) -> None:
    claimed = machine.connect(["device"]).claim(BDF, Scratch())
    page = machine.memory.alloc(4096)
    machine.function(BDF).dma.map(iova=0, address=page.address, size=4096, access="rw")
    claimed.dma.post(0, b"posted")
    claimed.dma.post(0x5000, b"lost")
    assert machine.faults.next().iova == 0x5000
    assert machine.memory.read(page.address, 6) == b"posted"


def test_posted_writes_may_go_on_for_ever_between_calls(machine: StartedMachine) -> None:
    emulator = machine.connect(["device"])
    claimed = emulator.claim(BDF, Scratch())
    page = machine.memory.alloc(1 << 20)
    machine.function(BDF).dma.map(iova=0, address=page.address, size=1 << 20, access="w")
    sent = 0
    while sent < 100:
        try:
            claimed.dma.post(0, bytes([sent]) * (1 << 20))
            sent += 1
        except IommudError as problem:
            assert problem.name == "EAGAIN"
            emulator.machine.clock.now_ns()
    emulator.machine.clock.now_ns()
    assert emulator.closed is None
    assert machine.memory.read(page.address + 4096, 1) == bytes([99])


def test_every_kind_of_reset_reaches_it(machine: StartedMachine) -> None:
    device = Scratch()
    machine.connect(["device"]).claim(BDF, device)
    dev = machine.function(BDF)
    dev.bar(0).write(0, 7)
    assert dev.reset("flr", deadline_ms=10).method == "flr"
    assert dev.bar(0).read(0) == 0
    assert not device.function.lost_power
    machine.cold_reset()
    # The clock waits for its answer.
    machine.clock.advance(1)
    assert [one for one in device.happened if isinstance(one, str)] == ["flr", "bus"]
    assert device.function.lost_power


def test_dma_that_is_in_flight_at_a_reset_ends_as_aborted(machine: StartedMachine) -> None:
    claimed = machine.connect(["device"]).claim(BDF, Scratch())
    dev = machine.function(BDF)
    page = machine.memory.alloc(4096)
    dev.dma.map(iova=0, address=page.address, size=4096, access="rw")
    dev.faults.arm("hold", point="translated")
    outcomes: list[str] = []
    thread = threading.Thread(target=lambda: outcomes.append(claimed.dma.read(0, 16).outcome))
    thread.start()
    while not dev.ledger():
        time.sleep(0.001)
    assert dev.reset("flr", deadline_ms=10, on_deadline="abort").aborted == 1
    thread.join(10)
    assert outcomes == ["aborted"]


def test_it_interrupts_by_msi_x(machine: StartedMachine) -> None:
    claimed = machine.connect(["device"]).claim(BDF, Scratch())
    dev = machine.function(BDF)
    assert claimed.interrupt(0) == "dropped"
    at = next_capability(dev, 0x11)
    table = dev.bar(dev.config.read(at + 4) & 7)
    table.write_many([(0, 0xFEE0_0000), (4, 0), (8, 0x41), (12, 0)])
    dev.config.write(at + 2, 0x8000, 2)
    assert claimed.interrupt(0) == "sent"
    message = machine.interrupts.next()
    assert (message.function, message.address, message.data & 0xFF, message.source_vector) == (BDF, 0xFEE0_0000, 0x41, 0)
    with pytest.raises(IommudError) as caught:
        claimed.interrupt(9999)
    assert caught.value.name == "EINVAL"


def next_capability(dev: iommud.Function, wanted: int) -> int:
    at = dev.config.read(0x34, 1)
    while at and dev.config.read(at, 1) != wanted:
        at = dev.config.read(at + 1, 1)
    assert at
    return at


def test_configuration_space_comes_to_an_emulator_that_keeps_it(machine: StartedMachine) -> None:
    class Keeper(iommud.Device):
        space = bytearray()

        def read(self, access: RegionAccess) -> int:
            assert access.region == 7
            return int.from_bytes(self.space[access.offset : access.offset + access.size], "little")

        def write(self, access: RegionAccess, value: int) -> None:
            self.space[access.offset : access.offset + access.size] = value.to_bytes(access.size, "little")

    device = Keeper()
    claimed = machine.connect(["device"]).claim(BDF, device, config="emulator")
    assert claimed.config[:4] == bytes.fromhex("3412d511")
    device.space = bytearray(claimed.config)
    device.space[:4] = bytes.fromhex("efbeadde")
    assert machine.function(BDF).config.read(0) == 0xDEAD_BEEF


def test_widths_that_it_does_not_take_never_reach_it(machine: StartedMachine) -> None:
    device = Scratch()
    machine.connect(["device"]).claim(BDF, device, widths=[4, 8])
    bar = machine.function(BDF).bar(0)
    with pytest.raises(IommudError) as caught:
        bar.read(0, 1)
    assert caught.value.name == "EINVAL"
    bar.read(0, 4)
    assert device.happened == [RegionAccess(0, 0, 4)]


def test_posted_writes_are_seen_by_the_read_behind_them(machine: StartedMachine) -> None:
    class Slow(Scratch):
        def write(self, access: RegionAccess, value: int) -> None:
            time.sleep(0.02)
            super().write(access, value)

    machine.connect(["device"]).claim(BDF, Slow(), posted_writes=True)
    bar = machine.function(BDF).bar(0)
    bar.write(0, 1)
    bar.write(0, 2)
    assert bar.read(0) == 2


def test_a_function_is_claimed_once_and_given_up(machine: StartedMachine) -> None:
    first, second = machine.connect(["device"]), machine.connect(["device"])
    with first.claim(BDF, Scratch()):
        with pytest.raises(IommudError) as caught:
            first.claim(BDF, Scratch())
        assert caught.value.name == "EEXIST"
        with pytest.raises(IommudError) as caught:
            second.claim(BDF, Scratch())
        assert caught.value.name == "EBUSY"
        assert not machine.function(BDF).info().summary.absent
    assert machine.function(BDF).info().summary.absent
    second.claim(BDF, Scratch())
    for bdf, name in (("00:02.0", "EOPNOTSUPP"), ("00:09.0", "ENODEV")):
        with pytest.raises(IommudError) as caught:
            first.claim(bdf, Scratch())
        assert caught.value.name == name
    with pytest.raises(IommudError) as caught:
        machine.connection.claim(BDF, Scratch())
    assert caught.value.name == "EPERM"


def test_an_emulator_that_closes_leaves_its_function_absent(machine: StartedMachine) -> None:
    emulator = machine.connect(["device"])
    claimed = emulator.claim(BDF, Scratch())
    emulator.close()
    # The service hears of it on another socket than this one.
    until = time.monotonic() + 30
    while not machine.function(BDF).info().summary.absent and time.monotonic() < until:
        time.sleep(0.001)
    assert machine.function(BDF).info().summary.absent
    with pytest.raises(IommudError) as caught:
        claimed.dma.read(0, 4)
    assert caught.value.name == "ECONNRESET"


REMOTE_WITH_ATS = {
    "schema": "iommud.topology/v1",
    "functions": [{"address": BDF, "model": "remote", "capabilities": {"ats": {"queueDepth": 4}, "pasid": {"width": 8}}}],
}


class Cache(Scratch):
    """A function that keeps its ATC; `before` an invalidation is done something may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Literal["done", "later"] = "done"
        self.before: Callable[[], object] = lambda: None

    def invalidate(self, invalidation: Invalidation) -> Literal["done", "later"]:
        self.happened.append(invalidation)
        self.before()
        return self.answer


@pytest.mark.iommud(topology=REMOTE_WITH_ATS)
def test_a_function_that_caches_its_translations_is_sent_invalidations(machine: StartedMachine) -> None:
    device = Cache()
    claimed = machine.connect(["device"]).claim(BDF, device, atc="peer")
    dev = machine.function(BDF)
    dev.config.write(4, 0x0406, 2)
    page = machine.memory.alloc(4096).address
    dev.dma.map(iova=0x10000, address=page, size=4096, access="rw")
    got = claimed.ats.translate(0x10000, write=True)
    assert [(grant.address, grant.size, grant.access) for grant in got.result.grants] == [(page, 4096, "rw")]
    assert not got.overtaken
    assert claimed.dma.write(page + 8, b"by address", translated=True).ok
    device.before = lambda: claimed.dma.write(page, b"in time", translated=True)
    assert dev.dma.unmap(iova=0x10000, size=4096).timed_out == 0
    assert device.happened == [Invalidation(0, None, 0x10000, 4096)]
    assert claimed.dma.write(page, b"too late", translated=True).outcome == "stale-atc"
    assert machine.memory.read(page, 7) == b"in time"
    assert claimed.ats.translate(0x10000).result.outcome == "no-access"


@pytest.mark.iommud(topology=REMOTE_WITH_ATS)
def test_an_invalidation_that_is_answered_later_is_completed_by_its_tag_or_times_out(machine: StartedMachine) -> None:
    device = Cache()
    device.answer = "later"
    claimed = machine.connect(["device"]).claim(BDF, device, atc="peer")
    dev = machine.function(BDF)
    dev.config.write(4, 0x0406, 2)
    page = machine.memory.alloc(8192).address
    dev.dma.map(iova=0, address=page, size=8192, access="rw")
    device.before = lambda: claimed.ats.complete(device.happened[-1].itag)  # type: ignore[attr-defined]
    assert dev.dma.unmap(iova=0, size=4096).timed_out == 0
    device.before = lambda: None
    assert dev.dma.unmap(iova=4096, size=4096).timed_out == 1
    dev.dma.map(iova=8192, address=page, size=8192, access="rw")

    def complete(*counts: int) -> None:
        for count in counts:
            claimed.ats.complete(device.happened[-1].itag, completions=count)  # type: ignore[attr-defined]

    device.before = lambda: complete(2, 2)
    assert dev.dma.unmap(iova=8192, size=4096).timed_out == 0
    device.before = lambda: complete(3, 2, 3)
    assert dev.dma.unmap(iova=12288, size=4096).timed_out == 1
    assert "completion count of 2, and before that one of 3" in " ".join(line.text for line in machine.logs.take())
    with pytest.raises(IommudError, match="ITags are 0 to 31"):
        claimed.ats.complete(32)


@pytest.mark.iommud(topology=REMOTE_WITH_ATS)
def test_a_translation_that_an_invalidation_overtakes_says_so(machine: StartedMachine) -> None:
    claimed = machine.connect(["device"]).claim(BDF, Cache(), atc="peer")
    dev = machine.function(BDF)
    dev.config.write(4, 0x0406, 2)
    page = machine.memory.alloc(8192).address
    dev.dma.map(iova=0, address=page, size=8192, access="rw")
    # Answered, and on its way: the unmap behind it invalidates what it was granted.
    dev.faults.arm("hold", point="performed")
    got: list[Translation] = []
    thread = threading.Thread(target=lambda: got.append(claimed.ats.translate(0)))
    thread.start()
    while not dev.ledger():
        time.sleep(0.001)
    dev.dma.unmap(iova=0, size=4096)
    dev.release()
    thread.join(10)
    assert got[0].overtaken


def test_its_alarms_go_by_the_clock_of_the_machine(machine: StartedMachine) -> None:
    class Timer(iommud.Device):
        def __init__(self) -> None:
            self.rang: list[int] = []

        def write(self, access: RegionAccess, value: int) -> None:
            if value:
                self.set_alarm(access.offset, value)
            else:
                self.cancel_alarm(access.offset)

        def alarm(self, alarm: int) -> None:
            self.rang.append(alarm)

    device = Timer()
    machine.connect(["device"]).claim(BDF, device)
    bar, pace = machine.function(BDF).bar(0), machine.clock.hold()
    for alarm, delay_ms in ((0, 20), (4, 10), (8, 15), (12, 10)):
        bar.write(alarm, delay_ms)
    bar.write(8, 0)
    bar.write(12, 30)
    pace.grant(9)
    assert device.rang == []
    pace.grant(1)
    assert device.rang == [4]
    pace.grant(20)
    assert device.rang == [4, 0, 12]
    with pytest.raises(IommudError) as caught:
        device.set_alarm(16, 1)
    assert caught.value.name == "EINVAL"


class Copier(iommud.Device):
    """A write starts a DMA of so many bytes; register 0 counts the bytes that have come."""

    def __init__(self) -> None:
        self.count = 0
        self.broken = False

    def read(self, access: RegionAccess) -> int:
        return self.count

    def write(self, access: RegionAccess, value: int) -> None:
        self.when_done(self.dma.start_read(0x10000, value), self.copied)

    def copied(self, done: iommud.Pending[DmaResult]) -> None:
        self.count += done.result().size
        if self.broken:
            raise ZeroDivisionError("a bug of the device's")


def test_what_it_does_when_its_dma_has_ended_is_in_turn_with_the_accesses(machine: StartedMachine) -> None:
    device = Copier()
    machine.connect(["device"]).claim(BDF, device)
    dev = machine.function(BDF)
    page = machine.memory.alloc(4096)
    dev.dma.map(iova=0x10000, address=page.address, size=4096, access="r")
    # What is held keeps nobody waiting.
    dev.faults.arm("hold", point="translated")
    dev.bar(0).write(0, 16)
    assert dev.bar(0).read(0) == 0
    dev.release()
    assert dev.bar(0).read(0) == 16
    for expected in range(17, 67):
        dev.bar(0).write(0, 1)
        assert dev.bar(0).read(0) == expected


def test_a_bug_in_what_it_does_then_is_logged_and_it_goes_on(machine: StartedMachine, caplog: pytest.LogCaptureFixture) -> None:
    device = Copier()
    device.broken = True
    machine.connect(["device"]).claim(BDF, device)
    dev = machine.function(BDF)
    dev.bar(0).write(0, 16)
    assert dev.bar(0).read(0) == 0
    assert "a bug of the device's" in caplog.text


def test_it_is_what_it_declares(machine: StartedMachine) -> None:
    declared = {"vendor": "0x1234", "device": "0x0c01", "bars": [{"bar": 0, "size": "4KiB"}]}
    claimed = machine.connect(["device"]).claim(BDF, Scratch(), declare=declared)
    info = machine.function(BDF).info().summary
    assert (info.vendor, info.device, claimed.restarted, claimed.config[:4].hex()) == (0x1234, 0x0C01, False, "3412010c")
    with pytest.raises(IommudError) as caught:
        machine.connect(["device"]).claim("00:06.0", Scratch(), declare={"bars": [{"bar": 7, "size": "4KiB"}]})
    assert caught.value.name == "EINVAL"


DECLARED = {"vendor": "0x1234", "device": "0x0c01", "bars": [{"bar": 0, "size": "4KiB"}], "capabilities": {"msi": {"vectors": 1}}}


def test_what_a_claim_declares_takes_the_place_of_the_slot(machine: StartedMachine) -> None:
    claimed = machine.connect(["device"]).claim(BDF, Scratch(), declare=DECLARED)
    assert not claimed.restarted
    assert int.from_bytes(claimed.config[:4], "little") == 0x0C01_1234 == machine.function(BDF).config.read(0)
    assert [(one.region, one.size) for one in machine.function(BDF).regions()] == [(0, 4096)]
    overlapping = [{"bar": 0, "size": "4KiB", "kind": "memory64"}, {"bar": 1, "size": "4KiB"}]
    with pytest.raises(IommudError) as caught:
        machine.connect(["device"]).claim(BDF, Scratch(), declare={"bars": overlapping})
    assert caught.value.name == "EINVAL"


@pytest.mark.iommud(topology={"schema": "iommud.topology/v1", "functions": [{"address": "00:1c.0", "model": "root-port", "slot": {}}]})
def test_a_function_comes_with_its_claim_and_goes_with_it(machine: StartedMachine) -> None:
    emulator = machine.connect(["device"])
    device = Scratch()
    with emulator.plug("00:1c.0", device, declare={"address": "00.0", **DECLARED}) as claimed:
        assert claimed.bdf == "01:00.0"
        bar = machine.function(claimed.bdf).bar(0)
        bar.write(0x10, 7)
        assert (bar.read(0x10), device.function.bdf) == (7, claimed.bdf)
        with pytest.raises(IommudError) as caught:
            emulator.plug("00:1c.0", Scratch(), declare={"address": "00.0"})
        assert caught.value.name == "EBUSY"
    assert [one.function for one in machine.functions()] == ["00:1c.0"]
    reasons = [(one.function, one.present) for one in machine.hotplug.take()]
    assert reasons == [("01:00.0", True), ("01:00.0", False)]


def test_an_emulator_that_comes_again_finds_the_function_as_it_was(machine: StartedMachine) -> None:
    first = machine.connect(["device"])
    first.claim(BDF, Scratch())
    dev = machine.function(BDF)
    dev.config.write(0x3C, 0x77, 1)
    first.close()
    until = time.monotonic() + 30
    while not dev.info().summary.absent and time.monotonic() < until:
        time.sleep(0.001)
    reset = threading.Event()

    class Again(Scratch):
        def reset(self, method: str) -> None:
            reset.set()

    claimed = machine.connect(["device"]).claim(BDF, Again())
    assert (claimed.restarted, claimed.config[0x3C]) == (True, 0x77)
    assert reset.wait(30)


def test_a_scatter_list_has_a_result_for_each_range(machine: StartedMachine) -> None:
    claimed = machine.connect(["device"]).claim(BDF, Scratch())
    page = machine.memory.alloc(8192).address
    machine.function(BDF).dma.map(iova=0, address=page, size=8192, access="rw")
    wrote = claimed.dma.write_list([(0x10, b"head"), (0x9000, b"nowhere"), (0x1FF8, b"the last")])
    assert [(one.outcome, one.size) for one in wrote] == [("performed", 4), ("not-present", 0), ("performed", 8)]
    read = claimed.dma.read_list([(0x1FF8, 8), (0x9000, 4), (0x10, 4)])
    assert [one.data for one in read] == [b"the last", b"", b"head"]
    with pytest.raises(IommudError) as caught:
        claimed.dma.read_list([(0, 4), (0, 0)])
    assert (caught.value.name, caught.value.field) == ("EINVAL", "ranges[1].bytes")


def test_an_atomic_has_what_was_there(machine: StartedMachine) -> None:
    claimed = machine.connect(["device"]).claim(BDF, Scratch())
    page = machine.memory.alloc(4096).address
    machine.function(BDF).dma.map(iova=0, address=page, size=4096, access="rw")
    machine.memory.write(page, (5).to_bytes(8, "little"))
    before = [
        claimed.dma.fetch_add(0, -2),
        claimed.dma.compare_and_swap(0, 4, 9),
        claimed.dma.compare_and_swap(0, 3, 9),
        claimed.dma.swap(0, 1, size=4),
    ]
    assert [(one.outcome, int.from_bytes(one.data or b"", "little")) for one in before] == [("performed", n) for n in (5, 3, 3, 9)]
    assert machine.memory.read(page, 8) == (1).to_bytes(8, "little")
    with pytest.raises(IommudError) as caught:
        claimed.dma.swap(2, 1, size=4)
    assert (caught.value.name, caught.value.field) == ("EINVAL", "bytes")


def test_what_asks_for_privileged_mode_or_to_execute_says_for_which_pasid(machine: StartedMachine) -> None:
    dma = machine.connect(["device"]).claim(BDF, Scratch()).dma
    asks: list[Callable[[], object]] = [
        lambda: dma.read(0, 4, privileged=True),
        lambda: dma.read(0, 4, execute=True),
        lambda: dma.write(0, b"x", privileged=True),
        lambda: dma.fetch_add(0, 1, privileged=True),
        lambda: dma.read_list([(0, 4)], execute=True),
    ]
    refused: list[str | None] = []
    for ask in asks:
        with pytest.raises(IommudError) as caught:
            ask()
        assert caught.value.name == "EINVAL"
        refused.append(caught.value.field)
    assert refused == ["privileged", "execute", "privileged", "privileged", "execute"]


PAGES = {"ats": {}, "pri": {}, "pasid": {"width": 8}}


@pytest.mark.iommud(topology={"schema": "iommud.topology/v1", "functions": [{"address": BDF, "model": "remote", "capabilities": PAGES}]})
def test_a_stop_marker_says_that_a_pasid_is_used_no_more(machine: StartedMachine) -> None:
    claimed = machine.connect(["device"]).claim(BDF, Scratch())
    assert claimed.dma.stop_pasid(3).answer == "not-sent"
    machine.function(BDF).config.write(4, 6, 2)
    machine.function(BDF).pasid(3).attach(machine.domains.alloc(faults=True))
    assert claimed.dma.stop_pasid(3).answer == "none"


def test_a_reset_may_take_as_long_as_its_claim_says(machine: StartedMachine) -> None:
    released = threading.Event()

    class Stuck(Scratch):
        def reset(self, method: str) -> None:
            released.wait(30)

    claimed = machine.connect(["device"]).claim(BDF, Stuck(), reset_deadline_ms=50)
    with pytest.raises(IommudError) as caught:
        machine.function(BDF).reset("flr", deadline_ms=10)
    assert (caught.value.name, "peer" in caught.value.message) == ("ENOTTY", True)
    released.set()
    claimed.release()
    for bad in (0, 600_001):
        with pytest.raises(IommudError) as caught:
            machine.connect(["device"]).claim(BDF, Stuck(), reset_deadline_ms=bad)
        assert (caught.value.name, caught.value.field) == ("EINVAL", "reset_deadline_ms")
