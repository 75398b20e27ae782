"""What a claim of a function asks for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Mapping, Sequence

from ..addresses import u32
from ..gen import messages as m
from ..gen.names import ATC_OWNER, CONFIG_KEEPER, AtcOwner, ConfigKeeper


@dataclass(frozen=True, slots=True)
class Terms:
    config: ConfigKeeper | None = None
    declare: Mapping[str, object] | None = None
    posted_writes: bool | None = None
    widths: Sequence[int] | None = None
    atc: AtcOwner | None = None
    reset_deadline_ms: int | None = None

    def request(self, *, function: int | None = None, bdf: str | None = None, port: int | None = None) -> m.DeviceClaim:
        entry: dict[str, object] = {"model": "remote", **({} if bdf is None else {"address": bdf}), **(self.declare or {})}
        return m.DeviceClaim(
            function=function,
            port=port,
            config=None if self.config is None else CONFIG_KEEPER.number_of(self.config, "config"),
            declare=None if self.declare is None else json.dumps({"functions": [entry]}),
            posted_writes=self.posted_writes,
            widths=None if self.widths is None else sum(set(self.widths)),
            # A device sees one write at a time in any case.
            write_multi=True,
            reset_deadline_ms=None if self.reset_deadline_ms is None else u32(self.reset_deadline_ms, "reset_deadline_ms"),
            atc=None if self.atc is None else ATC_OWNER.number_of(self.atc, "atc"),
        )
