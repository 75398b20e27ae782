# Made from aio/recovery.py by tools/make_blocking.py. Do not edit.
"""Recovery from errors on the bus, as Linux does it; the host plays drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..addresses import bdf_text
from ..core.operation import operation
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import ERROR_CALLBACK, VOTE, ErrorCallback, Vote
from ..values import RecoveryReport

if TYPE_CHECKING:
    from .connection import Connection


class Recovery:
    """Of one function."""

    def __init__(self, connection: Connection, function: int) -> None:
        self._connection = connection
        self._function = function
        self._bdf = bdf_text(function)

    def vote(self, callback: ErrorCallback, vote: Vote) -> None:
        """What its driver answers from now on. Where nothing was said: `need-reset` to a frozen link and `can-recover` else, and `recovered` after that."""
        request = m.ErrorVote(
            function=self._function, callback=ERROR_CALLBACK.number_of(callback, "callback"), vote=VOTE.number_of(vote, "vote")
        )
        self._connection.ask(operation(b.ERROR_VOTE, request, m.ErrorVoteReply, lambda _: None, f"a vote of {self._bdf}"))

    def recover(self, *, frozen: bool = False) -> RecoveryReport:
        """Recovers all below its port, or itself where it has none. `frozen`: the error was fatal, or a port has contained. Errors: EBUSY."""
        request = m.ErrorRecover(function=self._function, frozen=frozen)
        return self._connection.ask(
            operation(b.ERROR_RECOVER, request, m.ErrorRecoverReply, RecoveryReport.of, f"a recovery of {self._bdf}")
        )
