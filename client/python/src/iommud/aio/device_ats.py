"""ATS of a function that this program emulates and whose translations it caches itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterable

from ..addresses import bdf_text, u32, u64
from ..core.operation import operation
from ..core.peer import Invalidation
from ..errors import invalid
from ..gen import bodies as b
from ..gen import messages as m
from ..values import DmaResult

if TYPE_CHECKING:
    from .connection import Connection

_ITAGS = 32


@dataclass(frozen=True, slots=True)
class Translation:
    """What a translation request was granted is in `result.grants`; a refusal is an outcome."""

    result: DmaResult
    # An Invalidate Request for it came before its answer: it must not be cached, nor used (PCIe Base r6.0 §10.3).
    overtaken: bool


class DeviceAts:
    """Of a function that was claimed with `atc="peer"`."""

    def __init__(self, connection: Connection, function: int) -> None:
        self._connection = connection
        self._function = function
        self._what = f"a translation request of {bdf_text(function)}"
        # Of each translation request without an answer: the Invalidate Requests that have come since.
        self._asked: list[list[Invalidation]] = []

    async def translate(
        self,
        iova: int,
        *,
        pasid: int | None = None,
        write: bool | None = None,
        privileged: bool | None = None,
        execute: bool | None = None,
        translations: int | None = None,
    ) -> Translation:
        """A translation request, for `write` too, of 1 to 8 consecutive Smallest Translation Units. Errors: EPERM (not claimed), EINVAL, EAGAIN."""
        request = m.DeviceTranslate(
            function=self._function,
            iova=u64(iova, "iova"),
            pasid=None if pasid is None else u32(pasid, "pasid"),
            write=write,
            privileged=privileged,
            execute=execute,
            translations=translations,
        )
        since: list[Invalidation] = []
        self._asked.append(since)
        try:
            result = await self._connection.ask(
                operation(b.DEVICE_TRANSLATE, request, m.DeviceTranslateReply, lambda reply: DmaResult.of(reply.result, None), self._what)
            )
        finally:
            self._asked = [one for one in self._asked if one is not since]
        return Translation(result, any(_takes(one, pasid, iova, result) for one in since))

    async def complete(self, itags: int | Iterable[int], *, completions: int | None = None) -> None:
        """An Invalidate Completion of the function's own, for one tag or several, behind its DMA writes. Tags with no request in flight change nothing.
        `completions`: how many messages each of these requests gets in all, this one too, and each of them says the same: 1 to 8, one for each traffic class that
        the function uses; 1 when absent. Errors: EPERM (not claimed), EOPNOTSUPP (the server keeps the ATC), EINVAL."""
        vector = 0
        for itag in (itags,) if isinstance(itags, int) else itags:
            if not 0 <= itag < _ITAGS:
                raise invalid("itags", f"ITags are 0 to 31, and none is {itag}")
            vector |= 1 << itag
        request = m.InvalidateComplete(
            function=self._function, itags=vector, completions=None if completions is None else u32(completions, "completions")
        )
        await self._connection.ask(
            operation(b.INVALIDATE_COMPLETE, request, m.InvalidateCompleteReply, lambda _: None, "an Invalidate Completion")
        )

    def note(self, invalidation: Invalidation) -> None:
        """It has come: translation requests that are under way may be overtaken by it."""
        for since in self._asked:
            since.append(invalidation)


def _takes(invalidation: Invalidation, asked: int | None, iova: int, result: DmaResult) -> bool:
    """Whether it takes one of the translations that were granted; without a PASID also all that were made with one."""
    _, pasid, start, size = invalidation
    if not result.grants or (pasid is not None and pasid != asked and not result.grants[0].is_global):
        return False
    if size is None or (pasid is None and asked is not None):
        return True
    unit = result.grants[0].size
    first = iova & ~(unit - 1)
    return first < start + size and start < first + unit * len(result.grants)
