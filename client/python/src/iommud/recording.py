"""A machine as it is recorded: docs/recording.md."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

from .errors import IommudError, error
from .rest import ANSWER_S, Address, http_url, request

_CHUNK_BYTES = 1 << 16
_NUMBER = "iommud-recording"


class Recording:
    """Writes all that happens to a machine into a file, from now until `end` or the machine's end. `iommud replay` runs the file again.

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
