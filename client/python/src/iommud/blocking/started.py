# Made from aio/started.py by tools/make_blocking.py. Do not edit.
"""A machine of one's own, in one line."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Mapping, Sequence

from .. import rest
from ..gen.names import Role
from ..recording import Recording
from ..server import Server
from .connection import Connection, connect
from .machine import Machine
from .threads import in_thread


class Recorded:
    """A recording under way. `with` ends it."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def end(self) -> None:
        """The file is whole when this returns; again it does nothing. ECONNRESET: it is not, and why."""
        in_thread(self._recording.end)

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.end()


class StartedMachine(Machine):
    """A machine that was made here, as its host sees it. `with`, or `close`, deletes it."""

    def __init__(self, made: rest.MadeMachine, connection: Connection, service: rest.Address, server: Server | None) -> None:
        super().__init__(connection)
        self.id = made.id
        self.socket_url = made.socket_url
        """Where others can connect to it."""
        self.seed = made.seed
        self.warnings = made.warnings
        self.service = service
        self._server = server
        self._others: list[Connection] = []
        self._closed = False

    def connect(self, roles: Sequence[Role], *, timeout: float | None = 60.0) -> Connection:
        """Another connection to it: a device, a memory owner, a second host, an observer. Closed with the machine."""
        # Numbered rather than random, so that equal programs give equal trace hashes.
        prefix = f"window-{len(self._others) + 2}"
        other = connect(self.socket_url, roles, token=self.service.token, timeout=timeout, token_prefix=prefix)
        self._others.append(other)
        return other

    def snapshot(self) -> bytes:
        """The machine as a file, for `iommud machine load`."""
        return in_thread(rest.snapshot, self.service, self.id)

    def status(self) -> dict[str, Any]:
        """Who takes part, what each waits for, and since when, as `GET …/status` has it (docs/rest.md)."""
        said: dict[str, Any] = in_thread(rest.get, self.service, f"/v1/machines/{self.id}/status")
        return said

    def record(self, path: Path | str) -> Recorded:
        """Records what happens from now on into a file; `iommud.replay` runs it again. Errors: EAGAIN (as many are under way as may be), ECONNRESET."""
        return Recorded(in_thread(Recording, self.service, self.id, Path(path)))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for other in self._others:
            other.close()
        self.connection.close()
        in_thread(rest.delete_machine, self.service, self.id)
        if self._server is not None:
            in_thread(self._server.stop)

    def __enter__(self) -> StartedMachine:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def start_machine(
    *,
    preset: str | None = None,
    topology: Mapping[str, object] | str | None = None,
    lspci: str | None = None,
    name: str | None = None,
    seed: int | None = None,
    clock: str | None = None,
    behaviour: str | None = None,
    without_fixes: Sequence[str] | None = None,
    snapshot: bytes | None = None,
    url: str | None = None,
    token: str | None = None,
    roles: Sequence[Role] = ("host", "observer"),
    timeout: float | None = 60.0,
    on_made: Callable[[rest.Address, rest.MadeMachine], None] | None = None,
) -> StartedMachine:
    """Makes a machine (the preset `basic` when nothing is said) and connects to it. `snapshot`: one that goes on from there, and only `name` besides.

    `on_made` is called when it is there and nobody has connected yet. `url` and `token` are of the service, IOMMUD_URL and IOMMUD_TOKEN when absent; without any, a service is started and ends with the machine.
    Errors: EINVAL (what the machine is), EEXIST (the name), EPERM (the token), ECONNRESET (no service), ENOENT (no command to start one).
    """
    where = url or os.environ.get("IOMMUD_URL")
    server = None if where else in_thread(Server)
    service = rest.Address(where, token or os.environ.get("IOMMUD_TOKEN")) if where else _address_of(server)
    said = {
        "preset": preset or (None if topology or lspci else "basic"),
        "topology": topology,
        "lspci": lspci,
        "name": name,
        "seed": seed,
        "clock": clock,
        "behaviour": behaviour,
        "withoutFixes": None if without_fixes is None else list(without_fixes),
        "ephemeral": True,
    }
    try:
        if snapshot is None:
            made = in_thread(rest.make_machine, service, {key: value for key, value in said.items() if value is not None})
        else:
            made = in_thread(rest.load_snapshot, service, snapshot, name)
        try:
            if on_made is not None:
                in_thread(on_made, service, made)
            connection = connect(made.socket_url, roles, token=service.token, timeout=timeout, token_prefix="window")
        except BaseException:
            in_thread(rest.delete_machine, service, made.id)
            raise
    except BaseException:
        if server is not None:
            in_thread(server.stop)
        raise
    return StartedMachine(made, connection, service, server)


def _address_of(server: Server | None) -> rest.Address:
    assert server is not None
    return server.address
