"""wss: a proxy of this test's own ends TLS in front of the service, as one would in production."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Iterator

import pytest

import iommud
from iommud import IommudError, aio

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here to make a certificate")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def proxy(iommud_server: iommud.Address, certificate: Path) -> Iterator[int]:
    """Its port; what it is sent goes to the service."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    host, port = iommud_server.url.removeprefix("http://").split(":")
    listening = socket.create_server(("127.0.0.1", 0))

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            try:
                peer = context.wrap_socket(plain, server_side=True)
            except OSError:
                plain.close()
                continue
            service = socket.create_connection((host, int(port)))
            for ends in ((peer, service), (service, peer)):
                threading.Thread(target=copy, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()


def over_tls(made: iommud.StartedMachine, port: int) -> str:
    return f"wss://localhost:{port}/v1/machines/{made.id}/socket"


def test_both_faces_connect_over_tls(
    machine: iommud.StartedMachine, proxy: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    page = machine.memory.alloc(1 << 20).address
    pattern = bytes(range(256)) * 4096
    with iommud.connect(over_tls(machine, proxy)) as connection:
        connection.machine.memory.write(page, pattern)
        assert connection.machine.memory.read(page, 1 << 20) == pattern

    async def main() -> None:
        async with await aio.connect(over_tls(machine, proxy)) as other:
            assert await other.machine.memory.read(page, 1 << 20) == pattern

    asyncio.run(main())


def test_a_certificate_that_nobody_trusts_is_no_connection(machine: iommud.StartedMachine, proxy: int) -> None:
    with pytest.raises(IommudError) as caught:
        iommud.connect(over_tls(machine, proxy), retry=False)
    assert caught.value.name == "ECONNRESET"
    assert "certificate" in caught.value.message.lower()
