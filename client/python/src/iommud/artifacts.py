"""What a red test leaves behind."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable

from .blocking.connection import Connection
from .blocking.started import StartedMachine
from .errors import IommudError
from .gen.names import EVENT_CLASS
from .recording import Recording
from .rest import Address, MadeMachine

# Of a test that runs long the end is what tells.
_EVENTS_MAX = 1 << 17
_ANSWER_S = 10.0


class Watch:
    """What keeps what happens to the machine of a test: a recording from its beginning, and a timeline."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="iommud-")
        self._file = Path(self._folder.name) / "machine.iommurec"
        self._recording: Recording | None = None
        self._timeline: Timeline | None = None

    def made(self, service: Address, machine: MadeMachine) -> None:
        """Before anybody has connected, so that the recording begins with a new machine."""
        self._recording = Recording(service, machine.id, self._file)

    def connected(self, machine: StartedMachine) -> None:
        self._timeline = Timeline(machine)

    def leave(self, machine: StartedMachine, folder: Path, name: str, about: dict[str, object]) -> list[str]:
        """Writes what can be had into the folder; what could not be had, in words."""
        folder.mkdir(parents=True, exist_ok=True)
        problems: list[str] = []
        recording = self._recording
        if recording is not None:
            # What is asked below is not of the test.
            _write(folder / f"{name}.iommurec", partial(_ended, recording, self._file), problems)
        timeline = self._timeline
        if timeline is not None:
            _write(folder / "timeline.jsonl", timeline.text, problems)
        leave_behind(machine, folder, about, problems)
        return problems

    def close(self) -> None:
        try:
            if self._recording is not None:
                self._recording.end()
        except IommudError:
            # Nobody wants it.
            pass
        self._folder.cleanup()


def _ended(recording: Recording, file: Path) -> bytes:
    recording.end()
    return file.read_bytes()


class Timeline:
    """Everything that a machine tells, its trace too, in order, heard by an observer of its own."""

    def __init__(self, machine: StartedMachine) -> None:
        self._events: deque[tuple[str, object]] = deque(maxlen=_EVENTS_MAX)
        self._connection: Connection = machine.connect(["observer"], timeout=_ANSWER_S)
        self._connection.listener = lambda kind, event: self._events.append((kind, event))
        try:
            self._connection.machine.subscribe(EVENT_CLASS.names)
        except IommudError:
            # A service without a trace has the rest.
            pass

    def text(self) -> bytes:
        """One JSON object an event, each on a line."""
        # The events of a step come before a reply that follows it.
        self._connection.machine.info()
        return "".join(json.dumps({"event": kind, **_plain(event)}) + "\n" for kind, event in self._events).encode()


def leave_behind(machine: StartedMachine, folder: Path, about: dict[str, object], problems: list[str]) -> None:
    """What the machine is now."""
    machine.connection.timeout = _ANSWER_S
    # First: what is asked is an input, and inputs are in the hash.
    _write(folder / "machine.json", lambda: _json({**about, **_hash(machine), **_plain(machine.info())}), problems)
    _write(folder / "machine.snapshot", machine.snapshot, problems)
    _write(
        folder / "faults.json",
        lambda: _json({"records": _list(machine.fault_records()), "armed": _list(machine.armed.list())}),
        problems,
    )
    _write(folder / "ledger.json", lambda: _json(_ledgers(machine)), problems)


def _write(path: Path, make: Callable[[], bytes], problems: list[str]) -> None:
    try:
        path.write_bytes(make())
    except (IommudError, OSError) as problem:
        problems.append(f"{path.name}: {problem}")


def _hash(machine: StartedMachine) -> dict[str, object]:
    return {"trace_hash": machine.trace_hash()}


def _ledgers(machine: StartedMachine) -> dict[str, object]:
    return {one.function: _list(machine.function(one.function).ledger()) for one in machine.functions() if one.in_flight}


def _list(values: list[Any]) -> list[dict[str, object]]:
    return [_plain(value) for value in values]


def _plain(value: object) -> dict[str, object]:
    assert is_dataclass(value) and not isinstance(value, type)
    return asdict(value)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
