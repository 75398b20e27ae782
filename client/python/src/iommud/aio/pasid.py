"""One PASID of a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..addresses import bdf_text, u32
from ..core.operation import operation
from ..gen import bodies as b
from ..gen import messages as m
from .domains import Domain
from .ioas import Ioas
from .mappings import Mappings

if TYPE_CHECKING:
    from .connection import Connection


class Pasid(Mappings):
    """Its domain, and the mappings of that. A PASID has 20 bits."""

    def __init__(self, connection: Connection, function: int, pasid: int) -> None:
        super().__init__(connection, f"PASID {pasid} of {bdf_text(function)}", function=function, pasid=u32(pasid, "pasid"))
        self.pasid = pasid

    async def attach(self, to: Domain | Ioas, *, replace: bool | None = None) -> None:
        """`replace`: in place of the attached domain. Errors: ENODEV, ENOENT, EBUSY (a window is open; it has a domain), EINVAL, EOPNOTSUPP."""
        request = m.PasidAttach(
            function=self._function,
            pasid=self._pasid,
            domain=to.number if isinstance(to, Domain) else None,
            ioas=to.number if isinstance(to, Ioas) else None,
            replace=replace,
        )
        await self._connection.ask(operation(b.PASID_ATTACH, request, m.PasidAttachReply, lambda _: None, f"an attach of {self._what}"))

    async def detach(self) -> None:
        """Errors: ENODEV, ENOENT."""
        request = m.PasidDetach(function=self._function, pasid=self._pasid)
        await self._connection.ask(operation(b.PASID_DETACH, request, m.PasidDetachReply, lambda _: None, f"a detach of {self._what}"))
