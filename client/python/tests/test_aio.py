"""The face for asyncio. What both faces have is one text; here is what is this one's own, and each role once."""

import asyncio
from typing import Any, Callable, Coroutine

import pytest

import iommud
from iommud import IommudError, RegionAccess, aio
from iommud.values import DmaResult

Test = Callable[[aio.StartedMachine], Coroutine[Any, Any, None]]
ADDRESS = 0x2_0000_0000


@pytest.fixture
def run(iommud_server: iommud.Address) -> Callable[[Test], None]:
    """Runs a test on a machine of its own."""

    async def with_machine(test: Test) -> None:
        async with await aio.start_machine(url=iommud_server.url, seed=1) as machine:
            async with asyncio.timeout(30):
                await test(machine)

    return lambda test: asyncio.run(with_machine(test))


def test_rogue_dma_and_reset(run: Callable[[Test], None]) -> None:
    async def test(machine: aio.StartedMachine) -> None:
        dev = machine.function("00:02.0")
        page = await machine.memory.alloc(4096)
        await dev.dma.map(iova=0x10000, address=page.address, size=4096, access="rw")
        assert (await dev.model.write(0x10000, b"hello")).ok
        await dev.model.write(0x11000, b"rogue")
        assert (await machine.faults.next()).cause == "not-present"
        late = dev.model.start_write(0x10000, b"late", hold="translated")
        assert (await dev.reset("flr", deadline_ms=10, on_deadline="abort")).aborted == 1
        assert (await late).outcome == "aborted"
        async with await dev.reset_prepare(deadline_ms=1):
            assert (await dev.info()).summary.blocked
        assert not (await dev.info()).summary.blocked

    run(test)


def test_calls_of_one_turn_are_gathered(run: Callable[[Test], None]) -> None:
    async def test(machine: aio.StartedMachine) -> None:
        config = machine.function("00:02.0").config
        whole = await config.read_bytes(0, 256)
        words = await asyncio.gather(*(config.read(at) for at in range(0, 256, 4)))
        assert words == await config.read_many(range(0, 256, 4))
        assert b"".join(word.to_bytes(4, "little") for word in words) == whole

    run(test)


def test_a_task_that_is_cancelled_gives_its_call_up(run: Callable[[Test], None]) -> None:
    async def test(machine: aio.StartedMachine) -> None:
        dev = machine.function("00:02.0")
        hold = await machine.calls.hold("prepare", count=1)
        reset = asyncio.create_task(dev.reset("flr", deadline_ms=10))
        while not await machine.calls.held():
            pass
        reset.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reset
        await hold.release()
        # Its reply, which nobody waits for, has come before this one's.
        assert (await dev.reset("flr", deadline_ms=10)).method == "flr"
        assert machine.connection.closed is None

    run(test)


def test_what_takes_too_long_says_what_it_is(run: Callable[[Test], None]) -> None:
    async def test(machine: aio.StartedMachine) -> None:
        dev = machine.function("00:02.0")
        late = dev.model.start_read(0, 4, hold="issued")
        with pytest.raises(IommudError, match="no answer to a read of 00:02.0 at 0x0 within 0.02 s"):
            await late.result(timeout=0.02)
        machine.connection.timeout = 0.02
        with pytest.raises(IommudError) as caught:
            await dev.model.read(0, 4, hold="issued")
        assert caught.value.name == "ETIMEDOUT"
        machine.connection.timeout = 10
        await dev.release()
        assert (await late).outcome == "not-present"
        machine.faults.take()
        with pytest.raises(IommudError, match="no event of faults"):
            await machine.faults.next(timeout=0.01)

    run(test)


def test_a_function_whose_reset_starts_while_an_access_waits(run: Callable[[Test], None]) -> None:
    class Stuck(aio.Device):
        def __init__(self) -> None:
            self.reached, self.go_on = asyncio.Event(), asyncio.Event()
            self.happened: list[str] = []

        async def read(self, access: RegionAccess) -> int:
            self.happened.append(f"read {access.offset}")
            self.reached.set()
            await self.go_on.wait()
            self.happened.append(f"read {access.offset} done")
            return 5

        async def reset(self, method: str) -> None:
            self.happened.append(method)
            self.go_on.set()

    async def test(machine: aio.StartedMachine) -> None:
        device = Stuck()
        emulator = await machine.connect(["device"])
        async with await emulator.claim("00:04.0", device):
            dev = machine.function("00:04.0")
            reads = asyncio.create_task(dev.bar(0).read_many([0, 4]))
            await device.reached.wait()
            await dev.reset("flr", deadline_ms=10)
            await reads
            assert device.happened == ["read 0", "flr", "read 0 done", "read 4", "read 4 done"]
        assert (await dev.info()).summary.absent

    run(test)


def test_an_owner_answers_several_accesses_at_a_time_and_a_fence_behind_the_writes(run: Callable[[Test], None]) -> None:
    class Slow(aio.Ram):
        def __init__(self) -> None:
            super().__init__(ADDRESS, 0x10000)
            self.go_on = asyncio.Event()
            self.happened: list[str] = []

        async def write(self, address: int, data: bytes) -> None:
            await self.go_on.wait()
            await super().write(address, data)
            self.happened.append("written")

        async def fence(self, address: int, size: int) -> None:
            self.happened.append("fence")

    async def test(machine: aio.StartedMachine) -> None:
        owner = Slow()
        await (await machine.connect(["memory"])).own_memory(ADDRESS, 0x10000, owner)
        dev = machine.function("00:02.0")
        await dev.dma.map(iova=0, address=ADDRESS, size=4096, access="rw")
        late = dev.model.start_write(0, b"late")
        assert await machine.memory.read(ADDRESS, 4) == bytes(4)
        reset = dev.start_reset("flr", deadline_ms=0, on_deadline="abort")
        assert (await late).outcome == "indeterminate"
        assert (reset.done, owner.happened) == (False, [])
        owner.go_on.set()
        assert (await reset).indeterminate == 1
        assert owner.happened == ["written", "fence"]

    run(test)


def test_events_are_iterated_until_the_connection_is_closed(run: Callable[[Test], None]) -> None:
    async def test(machine: aio.StartedMachine) -> None:
        other = await machine.connect(["host"])
        seen: list[int] = []

        async def watch() -> None:
            async for fault in other.machine.faults:
                seen.append(fault.iova)

        watching = asyncio.create_task(watch())
        for at in range(3):
            await machine.function("00:02.0").model.write(0x1000 * at, b"x")
        await other.machine.info()
        with pytest.raises(IommudError):
            await other.wait_closed(0.01)
        await other.close()
        assert (await other.wait_closed()).code == 1000
        await watching
        assert seen == [0, 0x1000, 0x2000]
        with pytest.raises(IommudError) as caught:
            await other.machine.info()
        assert caught.value.name == "ECONNRESET"

    run(test)


def test_where_nobody_listens_there_is_no_connection() -> None:
    async def test() -> None:
        for options, name in (({"deadline": 0.3}, "ETIMEDOUT"), ({"retry": False}, "ECONNRESET")):
            with pytest.raises(IommudError) as caught:
                await aio.connect("ws://127.0.0.1:1/v1/machines/x/socket", **options)  # type: ignore[arg-type]
            assert caught.value.name == name

    asyncio.run(test())


def test_a_machine_that_is_not_there_is_no_device(iommud_server: iommud.Address) -> None:
    async def test() -> None:
        with pytest.raises(IommudError) as caught:
            await aio.connect(f"{iommud_server.url.replace('http', 'ws')}/v1/machines/nobody/socket")
        assert caught.value.name == "ENODEV"

    asyncio.run(test())


def test_a_device_has_alarms_and_does_what_is_to_be_done_when_its_dma_has_ended(run: Callable[[Test], None]) -> None:
    class Copier(aio.Device):
        def __init__(self) -> None:
            self.count = 0

        async def read(self, access: RegionAccess) -> int:
            return self.count

        async def write(self, access: RegionAccess, value: int) -> None:
            await self.set_alarm(0, value)

        async def alarm(self, alarm: int) -> None:
            self.when_done(self.dma.start_read(0x10000, 16), self.copied)

        async def copied(self, done: aio.Pending[DmaResult]) -> None:
            self.count += (await done).size

    async def test(machine: aio.StartedMachine) -> None:
        device = Copier()
        emulator = await machine.connect(["device"])
        await emulator.claim("00:04.0", device, declare={"vendor": "0x1234", "bars": [{"bar": 0, "size": "4KiB"}]})
        dev = machine.function("00:04.0")
        page = await machine.memory.alloc(4096)
        await dev.dma.map(iova=0x10000, address=page.address, size=4096, access="r")
        bar = dev.bar(0)
        async with await machine.clock.hold() as pace:
            for round in range(1, 20):
                await bar.write(0, 5)
                await pace.grant(4)
                assert await bar.read(0) == 16 * (round - 1)
                await pace.grant(1)
                assert await bar.read(0) == 16 * round
            # What is held keeps neither the clock nor anybody else waiting.
            await dev.faults.arm("hold", point="translated")
            await bar.write(0, 5)
            await pace.grant(10)
            assert await bar.read(0) == 304
            await dev.release()
            assert await bar.read(0) == 320

    run(test)
