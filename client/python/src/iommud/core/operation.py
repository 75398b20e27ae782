"""A call before it is made: what goes, what is made of what comes, and what a person is told it waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Generic, TypeVar

from ..errors import IommudError, error
from ..gen.bodies import MESSAGES
from ..gen.messages import DecodeError, Message
from .session import Reply

T = TypeVar("T")
M = TypeVar("M", bound=Message)


@dataclass(slots=True)
class Operation(Generic[T]):
    number: int
    body: bytes
    # Of the reply, in the thread of whoever waits for it.
    parse: Callable[[Reply], T]
    # `a reset of 00:02.0`.
    what: str
    data: bytes | None = None
    # Bytes of `data` that the reply may carry.
    reply_bytes: int = 0


def outcome_of(operation: Operation[T], outcome: Reply | IommudError) -> T:
    """What the caller gets: EPROTO for a body that is none."""
    if isinstance(outcome, IommudError):
        raise outcome.again()
    try:
        return operation.parse(outcome)
    except DecodeError as problem:
        raise error("EPROTO", f"the answer to {operation.what} is no such message: {problem}") from problem


def operation(
    number: int,
    request: Message,
    reply: type[M],
    parse: Callable[[M], T],
    what: str,
    data: bytes | None = None,
) -> Operation[T]:
    """A call whose reply is all in its body."""
    return Operation(number, request.SerializeToString(), lambda got: parse(reply.FromString(got.body)), what, data)


def with_data(
    number: int,
    request: Message,
    reply: type[M],
    parse: Callable[[M, bytes | None], T],
    what: str,
    data: bytes | None = None,
    reply_bytes: int = 0,
) -> Operation[T]:
    """A call whose reply carries bytes too."""
    return Operation(number, request.SerializeToString(), lambda got: parse(reply.FromString(got.body), got.data), what, data, reply_bytes)


def raw(
    number: int, request: Message, what: str, data: bytes | None = None, reply_bytes: int = 0
) -> Operation[tuple[Message, bytes | None]]:
    """Any call of the contract as it stands there."""
    return Operation(
        number,
        request.SerializeToString(),
        lambda got: (MESSAGES[number + 1].FromString(got.body), got.data),
        what,
        data,
        reply_bytes,
    )
