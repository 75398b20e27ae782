"""Fixtures for pytest: `iommud_server`, one a run, and `machine`, one a test, also under pytest-xdist."""

from __future__ import annotations

import os
import re
import secrets
import threading
from multiprocessing.connection import Client, Connection as Pipe, Listener
from pathlib import Path
from typing import Any, Generator, Iterator

import pytest

from .artifacts import Watch
from .blocking.started import StartedMachine, start_machine
from .errors import IommudError
from .rest import Address
from .server import Server

_URL_KEY = "iommud_url"
_PIPE_KEY = "iommud_pipe"
_AUTH_KEY = "iommud_authkey"
_SEED = 1
_watches = pytest.StashKey[dict[int, Watch]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("iommud")
    group.addoption("--iommud-url", metavar="URL", help="a service that runs (IOMMUD_URL); without one it is started when a test needs it")
    group.addoption("--iommud-artifacts", metavar="DIR", type=Path, help="where a red test leaves what its machine was")
    group.addoption("--iommud-seed", metavar="N", type=int, default=_SEED, help="seed of machines whose test names none (%(default)s)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "iommud(preset=…, topology=…, seed=…, clock=…, behaviour=…, …): which machine a test gets")


class _OneServer:
    """The server of a run: started when the first asks, in the process that all workers have in common."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._authkey = secrets.token_bytes(16)

    def url(self) -> str:
        with self._lock:
            self._server = self._server or Server()
            return self._server.url

    def offer(self) -> tuple[str, bytes]:
        """Where other processes ask for it."""
        if self._listener is None:
            self._listener = Listener(family="AF_UNIX", authkey=self._authkey)
            threading.Thread(target=self._serve, args=(self._listener,), name="iommud-offer", daemon=True).start()
        return str(self._listener.address), self._authkey

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
        with self._lock:
            if self._server is not None:
                self._server.stop()

    def _serve(self, listener: Listener) -> None:
        while True:
            try:
                asking: Pipe = listener.accept()
            except OSError:
                return
            with asking:
                try:
                    asking.send(self.url())
                except IommudError as problem:
                    asking.send(problem)


_server = pytest.StashKey[_OneServer]()


def _server_of(config: pytest.Config) -> _OneServer:
    return config.stash.setdefault(_server, _OneServer())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Of xdist: what a worker is told."""
    given = _given(node.config)
    if given is not None:
        node.workerinput[_URL_KEY] = given
    else:
        node.workerinput[_PIPE_KEY], node.workerinput[_AUTH_KEY] = _server_of(node.config).offer()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _server in config.stash:
        config.stash[_server].stop()


def _given(config: pytest.Config) -> str | None:
    return config.getoption("--iommud-url") or os.environ.get("IOMMUD_URL") or None


def _url(config: pytest.Config) -> str:
    told: dict[str, Any] = getattr(config, "workerinput", {})
    if _PIPE_KEY in told:
        with Client(told[_PIPE_KEY], authkey=told[_AUTH_KEY]) as asked:
            answer = asked.recv()
        if isinstance(answer, IommudError):
            raise answer
        return str(answer)
    return told.get(_URL_KEY) or _given(config) or _server_of(config).url()


@pytest.fixture(scope="session")
def iommud_server(pytestconfig: pytest.Config) -> Address:
    """The service of this run: `--iommud-url`, IOMMUD_URL (with IOMMUD_TOKEN), or one that is started now."""
    try:
        return Address(_url(pytestconfig), os.environ.get("IOMMUD_TOKEN"))
    except IommudError as problem:
        pytest.fail(str(problem), pytrace=False)


@pytest.fixture
def machine(request: pytest.FixtureRequest, iommud_server: Address) -> Iterator[StartedMachine]:
    """A machine for this test: the preset `basic`, or what `@pytest.mark.iommud(…)` says; deleted afterwards."""
    marker = request.node.get_closest_marker("iommud")
    said: dict[str, Any] = {} if marker is None else dict(marker.kwargs)
    said.setdefault("seed", request.config.getoption("--iommud-seed"))
    if request.config.getoption("--iommud-artifacts") is None:
        with start_machine(url=iommud_server.url, token=iommud_server.token, **said) as made:
            yield made
        return
    watch = Watch()
    try:
        with start_machine(url=iommud_server.url, token=iommud_server.token, on_made=watch.made, **said) as made:
            watch.connected(made)
            _watches_of(request.node)[id(made)] = watch
            yield made
    finally:
        watch.close()


def _watches_of(item: pytest.Item) -> dict[int, Watch]:
    watches: dict[int, Watch] = item.stash.setdefault(_watches, {})
    return watches


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    arguments: dict[str, object] = getattr(item, "funcargs", {})
    machines = {name: one for name, one in arguments.items() if isinstance(one, StartedMachine)}
    for name, one in machines.items():
        report.sections.append((f"iommud: {name}", _left(item, name, one)))


def _left(item: pytest.Item, name: str, machine: StartedMachine) -> str:
    root: Path | None = item.config.getoption("--iommud-artifacts")
    said = [f"machine {machine.name}, seed {machine.seed}"]
    if root is None:
        return "\n".join([*said, "--iommud-artifacts DIR keeps what it was"])
    slug = re.sub(r"[^\w.-]+", "-", item.nodeid).strip("-")
    folder = root.resolve() / slug / name
    about: dict[str, object] = {"test": item.nodeid, "server": machine.connection.granted.server}
    try:
        # A machine of a fixture of the project's own has not been watched from its beginning.
        problems = _watches_of(item).get(id(machine), Watch()).leave(machine, folder, slug, about)
    except OSError as problem:
        return "\n".join([*said, f"nothing could be left in {folder}: {problem}"])
    said.append(f"left in {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    said.extend(f"missing: {problem}" for problem in problems)
    if (folder / "machine.snapshot").exists():
        said.append(f"as it was when the test failed: iommud machine load {folder / 'machine.snapshot'}")
    if (folder / f"{slug}.iommurec").exists():
        said.append(f"reproduce: iommud replay {folder / slug}.iommurec")
    return "\n".join(said)
