"""Events of one kind."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, Iterator, TypeVar

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
        self._changed = threading.Condition()
        self._ended: IommudError | None = None
        self.lost = 0

    def __len__(self) -> int:
        return len(self._events)

    def next(self, timeout: float | None = 10.0) -> T:
        """The next event. ETIMEDOUT when none has come in so many seconds; ECONNRESET when none will."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._events:
                if self._ended is not None:
                    raise self._ended
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise error("ETIMEDOUT", f"no event of {self._what} within {timeout} s", self._what)
                self._changed.wait(left)
            return self._events.popleft()

    def take(self) -> list[T]:
        """All that are waiting, without waiting for more."""
        with self._changed:
            taken = list(self._events)
            self._events.clear()
        return taken

    def __iter__(self) -> Iterator[T]:
        """Until the connection is closed."""
        while True:
            try:
                event = self.next(None)
            except IommudError:
                return
            yield event

    def put(self, event: T) -> None:
        with self._changed:
            if len(self._events) >= CLIENT_EVENTS_MAX:
                self._events.popleft()
                self.lost += 1
            self._events.append(event)
            self._changed.notify()

    def miss(self, events: int) -> None:
        """Counts events that the server dropped."""
        with self._changed:
            self.lost += events

    def end(self, why: IommudError) -> None:
        with self._changed:
            self._ended = self._ended or why
            self._changed.notify_all()
