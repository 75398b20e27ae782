"""A websocket without its socket: the Sans-I/O layer of the package `websockets`."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from websockets import client as _client
from websockets.exceptions import InvalidHandshake, InvalidURI
from websockets.frames import Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from ..errors import NotConnected, invalid
from .limits import CLOSE_REASON_BYTES_MAX, MESSAGE_BYTES_MAX

if TYPE_CHECKING:
    _Protocol: Any
else:
    # Its name from websockets 11 on, and the one before.
    _Protocol = getattr(_client, "ClientProtocol", None) or _client.ClientConnection

SUBPROTOCOL: Final = "iommud.v1"
_TEXT: Final = 1003
_BROKEN: Final = 1006
# How long a network may be silent before it is asked whether it is there.
_KEEPALIVE_S: Final = 15


def keep_alive(sock: socket.socket) -> None:
    """A peer whose machine is gone is found out though nothing is sent."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)


class Closed(NamedTuple):
    """How a connection ended: a close code of websockets, 1006 when it broke, and the reason that was given."""

    code: int
    reason: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.code})" if self.reason else f"code {self.code}"


class _Tls:
    """TLS without its socket: the network's bytes in by `opened`, out by `sealed`."""

    def __init__(self, host: str) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._object = ssl.create_default_context().wrap_bio(self._in, self._out, server_hostname=host)
        self._early = b""
        self._ready = False
        self.opened(None)

    def opened(self, data: bytes | None) -> bytes:
        """What is in what has come; None: nothing has yet."""
        if data == b"":
            self._in.write_eof()
        elif data is not None:
            self._in.write(data)
        plain = bytearray()
        try:
            if not self._ready:
                self._object.do_handshake()
                self._ready = True
                self._object.write(self._early)
            while part := self._object.read(1 << 16):
                plain += part
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        except ssl.SSLError as problem:
            raise NotConnected(str(problem)) from problem
        return bytes(plain)

    def sealed(self, plain: bytes) -> bytes:
        if not self._ready:
            self._early += plain
        elif plain:
            self._object.write(plain)
        return self._out.read()


class WebSocket:
    """Bytes of the network in by `feed`, out by `outgoing`; messages out by `messages`."""

    def __init__(self, url: str, token: str | None) -> None:
        """EINVAL for what is no address of a websocket."""
        try:
            self._uri = parse_uri(url)
        except InvalidURI as problem:
            raise invalid("url", str(problem)) from problem
        self._protocol = _Protocol(self._uri, subprotocols=[SUBPROTOCOL], max_size=MESSAGE_BYTES_MAX)
        request = self._protocol.connect()
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        self._protocol.send_request(request)
        self._tls = _Tls(self._uri.host) if self._uri.secure else None
        self.opened = False
        self._parts: list[bytes] = []
        self._said: Closed | None = None

    @property
    def host(self) -> str:
        return self._uri.host

    @property
    def port(self) -> int:
        return self._uri.port

    def feed(self, data: bytes) -> None:
        """Takes what has come; b"" is its end. NotConnected: TLS failed."""
        plain = data if self._tls is None else self._tls.opened(data)
        if plain:
            self._protocol.receive_data(plain)
        if not data:
            self._protocol.receive_eof()

    def messages(self) -> list[bytes]:
        """What has come whole. NotConnected: it is no websocket."""
        out: list[bytes] = []
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._answered(event)
            elif event.opcode is Opcode.TEXT:
                self.close(_TEXT, "binary messages only")
            elif event.opcode is Opcode.BINARY or event.opcode is Opcode.CONT:
                if event.fin and not self._parts:
                    out.append(bytes(event.data))
                    continue
                self._parts.append(bytes(event.data))
                if event.fin:
                    out.append(b"".join(self._parts))
                    self._parts.clear()
        return out

    def send(self, message: bytes) -> None:
        if self.is_open:
            self._protocol.send_binary(message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self.is_open:
            short = reason.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore")
            self._said = Closed(code, short)
            self._protocol.send_close(code, short)

    def outgoing(self) -> list[bytes]:
        """What is to be written to the network; b"" is its end."""
        written: list[bytes] = self._protocol.data_to_send()
        if self._tls is None:
            return written
        sealed = self._tls.sealed(b"".join(written))
        return [*([sealed] if sealed else []), *([b""] if b"" in written else [])]

    @property
    def is_open(self) -> bool:
        return bool(self._protocol.state.name == "OPEN")

    def closed(self, broke: str = "") -> Closed:
        """How it ended, once it has; `broke`: what the network said."""
        code = self._protocol.close_code
        if self._said is not None and (code is None or code == self._said.code):
            return self._said
        if code is None or code == _BROKEN:
            return Closed(_BROKEN, broke or "the connection broke")
        return Closed(code, self._protocol.close_reason or "")

    def _answered(self, response: Response) -> None:
        problem = self._protocol.handshake_exc
        if problem is None:
            self.opened = True
            return
        status = response.status_code
        if status == 101 or not isinstance(problem, InvalidHandshake):
            raise NotConnected(str(problem))
        location = response.headers.get("Location") if status in (307, 308) else None
        raise NotConnected(f"HTTP {status} {response.reason_phrase}".rstrip(), status, location)
