"""A harness that fuzzes a device's registers: from a seed, random accesses to a function, and after each what must hold whatever the device does.

    pytest examples/test_fuzz_registers.py --iommud-artifacts left

Point `FUNCTION` at your device. A failure names the seed and the access; what the machine was then is in the folder.
"""

import random

import pytest

from iommud import IommudError, Region, StartedMachine

FUNCTION = "00:02.0"
ACCESSES = 400
# A register that starts DMA would have to be given addresses that may be reached: here all of it is refused, and that is what is looked at.
HARMLESS = {"not-present", "not-permitted", "not-canonical", "too-wide", "blocked-domain"}


def access(rng: random.Random, region: Region, size: int) -> str:
    """One access to somewhere in a region of so many bytes: what was done, for a person."""
    width = rng.choice((1, 2, 4))
    offset = rng.randrange(0, size, width)
    value = rng.choice((0, (1 << 8 * width) - 1, 1 << rng.randrange(8 * width), rng.getrandbits(8 * width)))
    if rng.random() < 0.4:
        got = region.read(offset, width)
        assert 0 <= got < 1 << 8 * width, f"read {width} bytes at {offset:#x}: {got:#x}"
        return f"read {width} at {offset:#x}"
    region.write(offset, value, width)
    return f"write {width} at {offset:#x}: {value:#x}"


@pytest.mark.parametrize("seed", range(4))
def test_no_access_breaks_the_machine(machine: StartedMachine, seed: int) -> None:
    rng = random.Random(seed)
    function = machine.function(FUNCTION)
    before = machine.function("00:00.0").config.read_bytes(0, 256)
    identity = function.config.read(0)
    regions = [(function.bar(one.region), one.size) for one in function.regions() if one.size and one.region < 6]
    regions.append((function.config, 256))
    done: list[str] = []
    for _ in range(ACCESSES):
        region, size = rng.choice(regions)
        try:
            done.append(access(rng, region, size))
        except IommudError as problem:
            # A width or an alignment that a register has not is refused, and nothing else is.
            assert problem.name == "EINVAL", f"seed {seed}: {problem} after {done[-3:]}"
    last = f"seed {seed}: after {done[-3:]}"
    assert function.config.read(0) in (identity, 0xFFFF_FFFF), last
    assert machine.function("00:00.0").config.read_bytes(0, 256) == before, last
    assert {record.cause for record in machine.fault_records()} <= HARMLESS, last
    # However it was left, a reset brings it back: that of its power does what no register can prevent.
    machine.cold_reset()
    assert function.config.read(0) == identity
    assert function.info().summary.in_flight == 0
