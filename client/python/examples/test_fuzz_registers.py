"""A harness that fuzzes a device's registers: from a seed, random accesses to a function, and then what must hold whatever the device does.

    pytest examples/test_fuzz_registers.py --iommud-artifacts left
    FUZZ_SEEDS=100 pytest examples/test_fuzz_registers.py -n 4

A failure is made smaller, each time on a new machine, as long as it stays one, and printed as lines to paste into a test; what the machine of the first run was is
in the folder. For a device of your own write another `prepare`, which claims it and gives its handle: `DoorbellWithBugs`, below, is one whose bugs are found.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, replace
from typing import Callable, Sequence

import pytest

import iommud
from iommud import Address, Function, IommudError, RegionAccess, StartedMachine

SEEDS = range(int(os.environ.get("FUZZ_SEEDS", "4")))
ACCESSES = 300
# Registers are at the beginning of a region more often than elsewhere.
NEAR = 64
# Runs that making a failure smaller may take.
RUNS = 150
CONFIG = 7
COMMAND, MEMORY_SPACE = 4, 2
# A register that starts DMA would have to be given addresses that may be reached: here all of it is refused, and that is what is looked at.
HARMLESS = {"not-present", "not-permitted", "not-canonical", "too-wide", "blocked-domain"}

Prepare = Callable[[StartedMachine], Function]


@dataclass(frozen=True, slots=True)
class Access:
    region: int
    offset: int
    size: int
    # None: it reads.
    value: int | None

    def __str__(self) -> str:
        at = "config" if self.region == CONFIG else f"bar({self.region})"
        if self.value is None:
            return f"function.{at}.read({self.offset:#x}, {self.size})"
        return f"function.{at}.write({self.offset:#x}, {self.value:#x}, {self.size})"

    def do(self, function: Function) -> None:
        region = function.config if self.region == CONFIG else function.bar(self.region)
        if self.value is None:
            got = region.read(self.offset, self.size)
            assert 0 <= got < 1 << 8 * self.size, f"{self} gave {got:#x}"
        else:
            region.write(self.offset, self.value, self.size)


def chosen(seed: int, function: Function) -> list[Access]:
    """The same for the same seed and the same regions."""
    rng = random.Random(seed)
    bars = [(one.region, one.size) for one in function.regions() if one.size and one.region < 6]

    def access() -> Access:
        if rng.random() < 0.05:
            # An access to configuration space may have turned the BARs off.
            return Access(CONFIG, COMMAND, 2, MEMORY_SPACE)
        region, size = rng.choice(bars) if rng.random() < 0.8 else (CONFIG, 256)
        width = rng.choice((1, 2, 4))
        far = region == CONFIG or rng.random() < 0.1
        offset = rng.randrange(0, size if far else min(size, NEAR), width)
        value = rng.choice((0, (1 << 8 * width) - 1, 1 << rng.randrange(8 * width), rng.getrandbits(8 * width)))
        return Access(region, offset, width, None if rng.random() < 0.4 else value)

    return [access() for _ in range(ACCESSES)]


def problem(machine: StartedMachine, function: Function, accesses: Sequence[Access]) -> str | None:
    """What is wrong when these accesses have been made to a function of a new machine; None: nothing."""
    # A device that never answers ends as ETIMEDOUT, which names what was waited for.
    machine.connection.timeout = 20
    other = machine.function("00:00.0").config
    identity, neighbour, registers = function.config.read(0), other.read_bytes(0, 256), function.bar(0).read_bytes(0, 64)
    for access in accesses:
        try:
            access.do(function)
        except IommudError as refused:
            # A width or an alignment that a register has not is refused, and nothing else is.
            if refused.name != "EINVAL":
                return f"{access}: {refused}"
    if function.config.read(0) not in (identity, 0xFFFF_FFFF):
        return f"it is {function.config.read(0):#010x} now, and was {identity:#010x}"
    if other.read_bytes(0, 256) != neighbour:
        return "it has changed the configuration space of 00:00.0"
    causes = [record.cause for record in machine.fault_records() if record.cause not in HARMLESS]
    if causes:
        return f"its DMA ended as {', '.join(causes)}"
    # However it was left, a reset brings it back: that of its power does what no register can prevent.
    machine.cold_reset()
    # Until it is ready: the clock waits for the answer of whoever plays it.
    machine.clock.advance(1000)
    if function.config.read(0) != identity or function.info().summary.in_flight:
        return "it does not come back when its power was off"
    function.config.write(COMMAND, MEMORY_SPACE, 2)
    after = function.bar(0).read_bytes(0, 64)
    differ = [at for at in range(64) if after[at] != registers[at]]
    return f"after a loss of power its registers at {', '.join(map(hex, differ))} are not as they were" if differ else None


def shrunk(accesses: list[Access], fails: Callable[[Sequence[Access]], bool]) -> list[Access]:
    """Fewer accesses, and simpler values, with which it still fails: parts are left out, half of them first, then ever smaller ones."""
    part = len(accesses) // 2
    while part > 0:
        at = 0
        while at < len(accesses):
            fewer = accesses[:at] + accesses[at + part :]
            if fails(fewer):
                accesses = fewer
            else:
                at += part
        part //= 2
    for at, access in enumerate(accesses):
        for value in (0, 1, *(1 << bit for bit in range(8 * access.size) if access.value and access.value >> bit & 1)):
            simpler = [*accesses[:at], replace(access, value=value), *accesses[at + 1 :]]
            if access.value is not None and value < access.value and fails(simpler):
                accesses = simpler
                break
    return accesses


def report(service: Address, prepare: Prepare, seed: int, accesses: list[Access]) -> tuple[str, list[Access]]:
    """What a failure says, and the accesses that are left of it."""
    runs = 0

    def again(some: Sequence[Access]) -> str | None:
        with iommud.start_machine(url=service.url, token=service.token, seed=seed) as machine:
            return problem(machine, prepare(machine), some)

    def fails(some: Sequence[Access]) -> bool:
        nonlocal runs
        runs += 1
        return runs <= RUNS and again(some) is not None

    few = shrunk(accesses, fails)
    lines = "\n".join(f"    {access}" for access in few)
    return f"seed {seed}, {len(few)} of {len(accesses)} accesses, on a machine of seed {seed}:\n{lines}\n{again(few)}", few


def probe(machine: StartedMachine) -> Function:
    return machine.function("00:02.0")


@pytest.mark.parametrize("seed", SEEDS)
def test_no_access_breaks_it(machine: StartedMachine, iommud_server: Address, seed: int) -> None:
    accesses = chosen(seed, probe(machine))
    if problem(machine, probe(machine), accesses) is not None:
        pytest.fail(report(iommud_server, probe, seed, accesses)[0], pytrace=False)


class Doorbell(iommud.Device):
    """Sixteen registers that keep what is written."""

    def __init__(self) -> None:
        self.registers = bytearray(64)

    def read(self, access: RegionAccess) -> int:
        return int.from_bytes(self.registers[access.offset : access.offset + access.size], "little")

    def write(self, access: RegionAccess, value: int) -> None:
        if access.offset + access.size <= 64:
            self.registers[access.offset : access.offset + access.size] = value.to_bytes(access.size, "little")

    def reset(self, method: str) -> None:
        self.registers = bytearray(64)


class DoorbellWithBugs(Doorbell):
    """A bit of one register breaks another; a third one survives everything."""

    def __init__(self, *, breaks: bool = False, survives: bool = False) -> None:
        super().__init__()
        self.breaks, self.survives = breaks, survives

    def read(self, access: RegionAccess) -> int:
        if self.breaks and self.registers[0x18] & 0x20 and access.offset <= 8 < access.offset + access.size:
            raise ZeroDivisionError("the divisor is 0")
        return super().read(access)

    def reset(self, method: str) -> None:
        kept = self.registers[0x30]
        super().reset(method)
        if self.survives:
            self.registers[0x30] = kept


def played(device: Callable[[], iommud.Device]) -> Prepare:
    def prepare(machine: StartedMachine) -> Function:
        machine.connect(["device"]).claim("00:04.0", device(), declare={"bars": [{"bar": 0, "size": "4KiB"}]})
        return machine.function("00:04.0")

    return prepare


def found(service: Address, prepare: Prepare) -> tuple[str, list[Access]] | None:
    """The first failure of some seeds."""
    for seed in range(8):
        with iommud.start_machine(url=service.url, token=service.token, seed=seed) as machine:
            function = prepare(machine)
            accesses = chosen(seed, function)
            if problem(machine, function, accesses) is not None:
                return report(service, prepare, seed, accesses)
    return None


def test_it_finds_a_bug_and_prints_the_two_accesses_that_show_it(iommud_server: Address) -> None:
    failure = found(iommud_server, played(lambda: DoorbellWithBugs(breaks=True)))
    assert failure is not None
    said, (write, read) = failure
    assert (write.region, write.value is not None, read.region, read.value) == (0, True, 0, None)
    # The simplest value that does it: the bit alone, wherever in the access it is.
    assert write.value == 0x20 << 8 * (0x18 - write.offset)
    assert read.offset <= 8 < read.offset + read.size
    assert f"2 of {ACCESSES} accesses" in said and str(write) in said and str(read) in said and "ZeroDivisionError" in said


def test_it_finds_what_a_reset_forgets(iommud_server: Address) -> None:
    failure = found(iommud_server, played(lambda: DoorbellWithBugs(survives=True)))
    assert failure is not None
    said, accesses = failure
    assert len(accesses) == 1 and said.endswith("after a loss of power its registers at 0x30 are not as they were")


def test_it_finds_nothing_in_the_same_device_without_them(machine: StartedMachine) -> None:
    function = played(Doorbell)(machine)
    assert problem(machine, function, chosen(1, function)) is None
