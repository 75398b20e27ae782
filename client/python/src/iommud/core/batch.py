"""Many calls that are waited for together."""

from __future__ import annotations

from functools import partial
from typing import Callable, Generic, Sequence, TypeVar

from ..errors import IommudError, error
from .operation import Operation, outcome_of
from .session import Call, Reply

T = TypeVar("T")

_NEVER = error("ECANCELED", "the call was given up")


class Batch(Generic[T]):
    """`finished` is called once, when the last reply has come."""

    def __init__(self, operations: Sequence[Operation[T]], finished: Callable[[], None]) -> None:
        self._operations = operations
        self._finished = finished
        self._left = len(operations)
        self._outcomes: list[Reply | IommudError] = [_NEVER] * len(operations)
        self.calls = [Call(one.number, one.body, one.data, one.reply_bytes, partial(self._put, at)) for at, one in enumerate(operations)]

    def results(self) -> list[T]:
        """In the order of the calls. The first error of them is raised: the others were made all the same."""
        return [outcome_of(one, outcome) for one, outcome in zip(self._operations, self._outcomes)]

    def waits_for(self) -> str:
        """The first call that has no answer, and how many have none."""
        first = next((one.what for one, outcome in zip(self._operations, self._outcomes) if outcome is _NEVER), "nothing")
        return first if self._left == 1 else f"{first}, the first of {self._left} calls without one"

    def _put(self, at: int, outcome: Reply | IommudError) -> None:
        self._outcomes[at] = outcome
        self._left -= 1
        if self._left == 0:
            self._finished()
