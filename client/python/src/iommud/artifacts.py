"""What a red test leaves behind."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Callable

from .blocking.connection import Connection
from .blocking.started import StartedMachine
from .errors import IommudError
from .gen.names import EVENT_CLASS

# Of a test that runs long the end is what tells.
_EVENTS_MAX = 1 << 17
_ANSWER_S = 10.0


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

    def lines(self) -> list[str]:
        """One JSON object an event."""
        # The events of a step come before a reply that follows it.
        self._connection.machine.info()
        return [json.dumps({"event": kind, **_plain(event)}) for kind, event in self._events]


def leave_behind(machine: StartedMachine, timeline: Timeline | None, folder: Path, about: dict[str, object]) -> list[str]:
    """Writes what can be had of the machine now; what could not be had, in words."""
    folder.mkdir(parents=True, exist_ok=True)
    machine.connection.timeout = _ANSWER_S
    problems: list[str] = []

    def write(name: str, make: Callable[[], bytes]) -> None:
        try:
            (folder / name).write_bytes(make())
        except (IommudError, OSError) as problem:
            problems.append(f"{name}: {problem}")

    # First: what is asked is an input, and inputs are in the hash.
    write("machine.json", lambda: _json({**about, **_hash(machine), **_plain(machine.info())}))
    write("machine.snapshot", machine.snapshot)
    write("faults.json", lambda: _json({"records": _list(machine.fault_records()), "armed": _list(machine.armed.list())}))
    write("ledger.json", lambda: _json(_ledgers(machine)))
    if timeline is not None:
        lines = timeline.lines
        write("timeline.jsonl", lambda: "".join(f"{line}\n" for line in lines()).encode())
    return problems


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
