"""A service of its own, as a child process."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import threading
from types import TracebackType
from typing import Sequence

from .errors import error
from .rest import Address

START_S = 30.0
_STOP_S = 10.0
# It listens on loopback for whoever started it, and wants no token.
_NOT_FOR_IT = ("IOMMUD_LISTEN", "IOMMUD_TOKEN", "IOMMUD_TOKENS_FILE")


def server_command() -> list[str]:
    """How `iommud` is started here: IOMMUD_COMMAND, or what is on the path, or what npx finds in the folder."""
    given = os.environ.get("IOMMUD_COMMAND")
    if given:
        return shlex.split(given)
    if shutil.which("iommud") is not None:
        return ["iommud"]
    if shutil.which("npx") is not None:
        return ["npx", "--no-install", "iommud"]
    raise error("ENOENT", "there is no iommud on the path; set IOMMUD_COMMAND to how it is started, or IOMMUD_URL to one that runs")


class Server:
    """Runs `iommud serve` on a port that is free. It ends with this process, however that ends. `with` stops it.

    Errors: ENOENT (no command), EIO (it ended), ETIMEDOUT (it did not say that it is ready).
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        line = [*(server_command() if command is None else command), "serve", "--listen", "127.0.0.1:0", "--exit-with-stdin"]
        environment = {"IOMMUD_LOG_LEVEL": "silent", **{key: value for key, value in os.environ.items() if key not in _NOT_FOR_IT}}
        try:
            # Its standard output is read for one line only; it says nothing more there.
            self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        except OSError as problem:
            raise error("ENOENT", f"{shlex.join(line)}: {problem}") from problem
        watch = threading.Timer(START_S, self._process.kill)
        watch.start()
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        late = not watch.is_alive()
        watch.cancel()
        if not ready:
            self.stop()
            name = "ETIMEDOUT" if late else "EIO"
            raise error(name, f"{shlex.join(line)} was not ready within {START_S} s" if late else f"{shlex.join(line)} ended")
        self.address = Address(str(json.loads(ready)["url"]))

    @property
    def url(self) -> str:
        return self.address.url

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
