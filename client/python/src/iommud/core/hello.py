"""The first exchange."""

from __future__ import annotations

from typing import Final, NamedTuple, Sequence
from urllib.parse import urljoin

from ..errors import NotConnected, IommudError, error
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import ROLE, Role
from .operation import Operation, operation

PRODUCT: Final = "iommud-python"
VERSION: Final = "0.1.0"
# Answers of a server, or of something in front of it, that is not there yet or has too much to do.
_TRANSIENT_STATUS: Final = (0, 429, 502, 503, 504)


class Granted(NamedTuple):
    """What the first exchange gave."""

    roles: tuple[Role, ...]
    features: tuple[str, ...]
    # Page sizes that mappings may use, ascending. Empty: the machine has no IOMMU.
    page_sizes: tuple[int, ...]
    # The machine's name.
    machine: str
    # What it was made from; empty when from a topology or a dump.
    preset: str
    # `iommud 0.1.0`.
    server: str

    @staticmethod
    def of(body: m.HelloReply) -> Granted:
        return Granted(
            tuple(map(ROLE.name_of, body.roles)),
            tuple(body.features),
            tuple(body.page_bytes),
            body.machine,
            body.preset,
            f"{body.product} {body.product_version}",
        )


def hello(roles: Sequence[Role], token: str | None) -> Operation[m.HelloReply]:
    request = m.Hello(
        product=PRODUCT,
        product_version=VERSION,
        contract_version=b.CONTRACT_VERSION,
        roles=[ROLE.number_of(role, "roles") for role in roles],
        token=token,
    )
    return operation(b.HELLO, request, m.HelloReply, lambda reply: reply, "the server's Hello")


def is_transient(problem: Exception) -> bool:
    """Whether another try may do."""
    if isinstance(problem, NotConnected):
        return problem.status in _TRANSIENT_STATUS
    return isinstance(problem, IommudError) and problem.name in ("ECONNRESET", "ESHUTDOWN")


def refusal(problem: Exception, url: str) -> IommudError:
    """What a caller of connect is told."""
    if isinstance(problem, IommudError):
        return problem
    status = problem.status if isinstance(problem, NotConnected) else 0
    name = {0: "ECONNRESET", 401: "EPERM", 403: "EPERM", 404: "ENODEV"}.get(status, "EPROTO")
    return error(name, f"cannot connect to {url}: {problem}", url)


def redirected(url: str, location: str) -> str:
    """Where a redirect leads: it may be relative, and may speak of http."""
    target = urljoin(url.replace("ws", "http", 1), location)
    return target.replace("http", "ws", 1)
