"""The few calls of REST that a program needs: machines are made and deleted there."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Mapping
from urllib.parse import quote

from .errors import IommudError, error

ANSWER_S = 60.0
_JSON = "application/json"
_BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is: `http://127.0.0.1:7411`."""

    url: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class MadeMachine:
    """What the service says of a machine that it made."""

    id: str
    name: str
    socket_url: str
    seed: int
    # What was odd in a dump, by function and offset.
    warnings: tuple[str, ...]


def make_machine(service: Address, body: Mapping[str, object]) -> MadeMachine:
    made: dict[str, Any] = json.loads(request(service, "POST", "/v1/machines", json.dumps(body).encode(), _JSON))
    return MadeMachine(made["id"], made["name"], made["socketUrl"], made["seed"], tuple(made.get("warnings", ())))


def delete_machine(service: Address, id: str) -> None:
    """A machine that is gone already is deleted enough."""
    try:
        request(service, "DELETE", f"/v1/machines/{quote(id)}")
    except IommudError as problem:
        if problem.name != "ENODEV":
            raise


def get(service: Address, path: str) -> Any:
    """What a route answers, such as `/v1/machines`."""
    return json.loads(request(service, "GET", path))


def snapshot(service: Address, id: str) -> bytes:
    """The machine as a file, for `iommud machine load`."""
    return request(service, "GET", f"/v1/machines/{quote(id)}/snapshot")


def load_snapshot(service: Address, data: bytes, name: str | None = None) -> MadeMachine:
    """A machine that goes on from a file."""
    path = "/v1/machines/snapshot" + ("" if name is None else f"?name={quote(name)}")
    made: dict[str, Any] = json.loads(request(service, "POST", path, data, _BYTES))
    return MadeMachine(made["id"], made["name"], made["socketUrl"], made["seed"], tuple(made.get("warnings", ())))


def http_url(url: str) -> str:
    """A service may be named by the address of its sockets."""
    base = url.rstrip("/")
    return "http" + base[2:] if base.startswith("ws") else base


def request(service: Address, method: str, path: str, body: bytes | None = None, kind: str = _JSON) -> bytes:
    """Any call of REST (docs/rest.md)."""
    url = http_url(service.url) + path
    asked = urllib.request.Request(url, data=body, method=method)
    if body is not None:
        asked.add_header("Content-Type", kind)
    if service.token is not None:
        asked.add_header("Authorization", f"Bearer {service.token}")
    try:
        with urllib.request.urlopen(asked, timeout=ANSWER_S) as answer:
            received: bytes = answer.read()
            return received
    except urllib.error.HTTPError as problem:
        raise _refusal(problem, f"{method} {url}") from None
    except TimeoutError:
        raise error("ETIMEDOUT", f"no answer to {method} {url} within {ANSWER_S} s", url) from None
    except OSError as problem:
        raise error("ECONNRESET", f"no service at {service.url}: {problem}", service.url) from problem
    except ValueError as problem:
        raise error("EINVAL", f"{url}: {problem}", "url") from problem


def _refusal(problem: urllib.error.HTTPError, what: str) -> IommudError:
    """Something in front of the service may answer with anything."""
    said: Any
    try:
        said = json.loads(problem.read())
        return IommudError(int(said["errno"]), str(said["code"]), str(said["message"]), str(said.get("about", "")))
    except (ValueError, KeyError, TypeError):
        return error("EPROTO", f"{what}: HTTP {problem.code} {problem.reason}")
