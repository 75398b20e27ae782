"""Events of one kind."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import AsyncIterator, Generic, TypeVar

from ..core.limits import CLIENT_EVENTS_MAX
from ..errors import IommudError, error

T = TypeVar("T")


class EventQueue(Generic[T]):
    """Events of one kind, oldest first, from the moment of the connection on; each goes to one taker.

    When nobody takes them the newest 4096 are kept, and the others counted in `lost`, with those that the server dropped.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._events: deque[T] = deque()
        self._changed: list[asyncio.Future[None]] = []
        self._ended: IommudError | None = None
        self.lost = 0

    def __len__(self) -> int:
        return len(self._events)

    async def next(self, timeout: float | None = 10.0) -> T:
        """The next event. ETIMEDOUT when none has come in so many seconds; ECONNRESET when none will."""
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        while not self._events:
            if self._ended is not None:
                raise self._ended
            woken: asyncio.Future[None] = loop.create_future()
            self._changed.append(woken)
            try:
                async with asyncio.timeout_at(until):
                    await woken
            except TimeoutError:
                raise error("ETIMEDOUT", f"no event of {self._what} within {timeout} s", self._what) from None
        return self._events.popleft()

    def take(self) -> list[T]:
        """All that are waiting, without waiting for more."""
        taken = list(self._events)
        self._events.clear()
        return taken

    async def __aiter__(self) -> AsyncIterator[T]:
        """Until the connection is closed."""
        while True:
            try:
                event = await self.next(None)
            except IommudError:
                return
            yield event

    def put(self, event: T) -> None:
        if len(self._events) >= CLIENT_EVENTS_MAX:
            self._events.popleft()
            self.lost += 1
        self._events.append(event)
        self._wake()

    def miss(self, events: int) -> None:
        """Counts events that the server dropped."""
        self.lost += events

    def end(self, why: IommudError) -> None:
        self._ended = self._ended or why
        self._wake()

    def _wake(self) -> None:
        woken, self._changed = self._changed, []
        for future in woken:
            if not future.done():
                future.set_result(None)
