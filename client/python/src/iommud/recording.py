"""A machine as it is recorded: docs/recording.md."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

from .errors import IommudError, error
from .rest import ANSWER_S, Address, http_url, request
from .server import server_command

_CHUNK_BYTES = 1 << 16
_NUMBER = "iommud-recording"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a recording that was run again."""

    # Every output was as it was recorded, and so was the trace hash.
    same: bool
    inputs: int
    outputs: int
    now_ns: int
    trace_hash: str
    # The first one: `input`, `of`, `recorded`, `came`, and where they differ, `field`.
    difference: dict[str, Any] | None
    # The assertion that the machine ran into, as it did when it was recorded.
    crash: str | None


def replay(path: Path | str, *, partial: bool = False) -> Replayed:
    """Runs a recording against the build of the command `iommud` (IOMMUD_COMMAND), without a service. `partial`: a file without its end is taken for what is whole
    of it. Errors: ENOENT (no command), EINVAL (no recording, or one that cannot be run)."""
    line = [*server_command(), "replay", str(path), "--json", *(["--partial"] if partial else [])]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    except OSError as problem:
        raise error("ENOENT", f"{line[0]}: {problem}") from problem
    try:
        said: dict[str, Any] = json.loads(done.stdout)
        difference, crash = said.get("difference"), said.get("crash")
        counts = (said["inputs"], said["outputs"], said["nowNs"], said["traceHash"])
    except (ValueError, KeyError):
        raise error("EINVAL", f"{path}: {done.stderr.strip() or f'replay ended with {done.returncode}'}", str(path)) from None
    return Replayed(difference is None and crash is None, *counts, difference, crash)


class Recording:
    """Writes all that happens to a machine into a file, from now until `end` or the machine's end. `replay` runs the file again.

    Errors: ENODEV, EAGAIN (as many recordings are under way as may be), ECONNRESET (no service).
    """

    def __init__(self, service: Address, machine: str, path: Path) -> None:
        self._service = service
        self._machine = machine
        self._problem: Exception | None = None
        parts = urlsplit(http_url(service.url))
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=ANSWER_S)
        headers = {} if service.token is None else {"Authorization": f"Bearer {service.token}"}
        try:
            self._connection.request("GET", f"{parts.path}/v1/machines/{quote(machine)}/recording", headers=headers)
            self._answer = self._connection.getresponse()
        except OSError as problem:
            raise error("ECONNRESET", f"no service at {service.url}: {problem}", service.url) from problem
        if self._answer.status != 200:
            said = self._answer.read().decode(errors="replace")
            self._connection.close()
            raise error("EPROTO", f"no recording of {machine}: HTTP {self._answer.status} {said}")
        self._number = self._answer.headers[_NUMBER]
        # The service is silent as long as nothing happens.
        if self._connection.sock is not None:
            self._connection.sock.settimeout(None)
        self._thread = threading.Thread(target=self._copy, args=(path.open("wb"),), name="iommud-recording", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The file is whole when this returns; again it does nothing. ECONNRESET: it is not, and why."""
        try:
            request(self._service, "DELETE", f"/v1/machines/{quote(self._machine)}/recordings/{self._number}")
        except IommudError as problem:
            # It has ended by itself, as with its machine.
            if problem.name not in ("ENOENT", "ENODEV"):
                raise
        self._thread.join(ANSWER_S)
        self._connection.close()
        if self._problem is not None or self._thread.is_alive():
            raise error("ECONNRESET", f"the recording of {self._machine} is cut off: {self._problem or 'it does not end'}")

    def _copy(self, out: IO[bytes]) -> None:
        with out:
            try:
                while chunk := self._answer.read1(_CHUNK_BYTES):
                    out.write(chunk)
            except (OSError, http.client.HTTPException, ValueError) as problem:
                self._problem = problem
