"""Flow control by credits: what the server lets this end have outstanding, and what waits here for it (docs/protocol.md)."""

from __future__ import annotations

from collections import deque
from typing import Final, Iterable, Protocol

from .limits import (
    CREDIT_ACCESS_CALLS,
    CREDIT_ACCESS_REPLY_BYTES,
    CREDIT_CONTROL_CALLS,
    CREDIT_DMA_CALLS,
    CREDIT_DMA_REPLY_BYTES,
    CREDIT_MEMORY_CALLS,
    CREDIT_MEMORY_REPLY_BYTES,
    RECEIVE_BUFFER_BYTES_MAX,
)

CONTROL: Final = 1
ACCESS: Final = 2
DMA: Final = 3
MEMORY: Final = 4

_DEFAULTS: Final = (
    (CONTROL, CREDIT_CONTROL_CALLS, 0),
    (ACCESS, CREDIT_ACCESS_CALLS, CREDIT_ACCESS_REPLY_BYTES),
    (DMA, CREDIT_DMA_CALLS, CREDIT_DMA_REPLY_BYTES),
    (MEMORY, CREDIT_MEMORY_CALLS, CREDIT_MEMORY_REPLY_BYTES),
)

# Part of what a server lets gather unhandled that one class may have sent: all classes together stay below half.
_SENT_PART: Final = 8
_CLASSES: Final = 5


class Cost(Protocol):
    """What a call takes from its class until its reply."""

    credit_class: int
    # Bytes of `data` that the reply may carry, and of the call's own.
    reply_bytes: int
    sent_bytes: int


class Credits:
    def __init__(self) -> None:
        self.grant((), 0)
        self._queues: list[deque[Cost]] = [deque() for _ in range(_CLASSES)]
        self._sent = [0] * _CLASSES

    def grant(self, grants: Iterable[tuple[int, int, int]], receive_buffer_bytes_max: int) -> None:
        """What Hello gave, as (class, calls, reply bytes); a class that it does not name has the default. No call may be outstanding."""
        self._calls = [0] * _CLASSES
        self._bytes = [0] * _CLASSES
        for credit_class, calls, reply_bytes in (*_DEFAULTS, *grants):
            if CONTROL <= credit_class <= MEMORY:
                self._calls[credit_class] = calls
                self._bytes[credit_class] = reply_bytes
        self._granted = list(self._bytes)
        self._sent_max = (receive_buffer_bytes_max or RECEIVE_BUFFER_BYTES_MAX) // _SENT_PART

    @property
    def waiting(self) -> int:
        return sum(map(len, self._queues))

    def take_or_wait(self, call: Cost) -> bool:
        """True: the call may go now. False: it waits behind those of its class."""
        queue = self._queues[call.credit_class]
        if not queue and self._take(call):
            return True
        queue.append(call)
        return False

    def give(self, call: Cost) -> None:
        """The reply has come."""
        at = call.credit_class
        self._calls[at] += 1
        self._bytes[at] += call.reply_bytes
        self._sent[at] -= call.sent_bytes

    def next(self, credit_class: int) -> Cost | None:
        """The next waiting call of the class that may go now, its credit taken."""
        queue = self._queues[credit_class]
        if not queue or not self._take(queue[0]):
            return None
        return queue.popleft()

    def forget(self, call: Cost) -> bool:
        """Takes a call that still waits out of the queue."""
        try:
            self._queues[call.credit_class].remove(call)
        except ValueError:
            return False
        return True

    def drain(self) -> list[Cost]:
        """Everything that waits, taken out."""
        waiting = [call for queue in self._queues for call in queue]
        for queue in self._queues:
            queue.clear()
        return waiting

    def _take(self, call: Cost) -> bool:
        at = call.credit_class
        if self._calls[at] < 1:
            return False
        sent = self._sent[at]
        # One alone may be of any size, here and in what it asks for: what is wrong with it is for its sender to be told.
        if call.sent_bytes and sent and sent + call.sent_bytes > self._sent_max:
            return False
        left = self._bytes[at]
        if call.reply_bytes and call.reply_bytes > left and left != self._granted[at]:
            return False
        self._calls[at] -= 1
        self._bytes[at] = left - call.reply_bytes
        self._sent[at] = sent + call.sent_bytes
        return True
