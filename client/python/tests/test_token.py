"""A service that wants a token."""

import asyncio
from typing import Iterator

import pytest

import iommud
from iommud import IommudError, aio
from iommud.server import server_command


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with iommud.Server(["env", "IOMMUD_TOKEN=secret", *server_command()]) as server:
        yield server.url


def test_with_it_machines_are_made_and_connected_to(guarded: str) -> None:
    with iommud.start_machine(url=guarded, token="secret") as machine:
        assert machine.connect(["observer"]).machine.info().iommu
        assert len(machine.snapshot()) > 1000

        async def main() -> None:
            async with await aio.connect(machine.socket_url, token="secret") as connection:
                await connection.machine.info()

        asyncio.run(main())


@pytest.mark.parametrize("token", [None, "wrong"])
def test_without_it_nothing_is(guarded: str, token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IOMMUD_TOKEN", raising=False)
    with pytest.raises(IommudError) as caught:
        iommud.start_machine(url=guarded, token=token)
    assert caught.value.name == "EPERM"
    with iommud.start_machine(url=guarded, token="secret") as machine, pytest.raises(IommudError) as caught:
        iommud.connect(machine.socket_url, token=token)
    assert caught.value.name == "EPERM"
