# Made from aio/sriov.py by tools/make_blocking.py. Do not edit.
"""SR-IOV of a physical function, by its own registers (PCIe §9.3.3), as a driver's sriov_configure does."""

from __future__ import annotations

from ..addresses import bdf_text, pack_bdf
from ..errors import error
from ..values import SriovInfo
from .region import Region

_EXTENDED = 0x100
_CAPABILITY = 0x10
# From the capability's header.
_CONTROL = 8
_TOTAL = 0xE
_FUNCTIONS = 0x10
_FIRST_OFFSET = 0x14
_STRIDE = 0x16
# VF Enable and VF MSE.
_ENABLED = 0x9
_ALL_ONES = 0xFFFF_FFFF


class Sriov:
    def __init__(self, config: Region, bdf: str) -> None:
        self._config = config
        self._bdf = bdf

    def info(self) -> SriovInfo:
        """Errors: EOPNOTSUPP (the function has no SR-IOV)."""
        at = self._find()
        offsets = [at + offset for offset in (_CONTROL, _FUNCTIONS, _TOTAL, _FIRST_OFFSET, _STRIDE)]
        control, functions, total, first_offset, stride = self._config.read_many(offsets, 2)
        return SriovInfo(control & 1 != 0, functions, total, first_offset, stride)

    def enable(self, functions: int) -> list[str]:
        """Sets NumVFs, VF Enable and VF MSE; where the virtual functions are, which answer 100 ms of the machine's clock later. Those that cannot be there are
        told in the machine's log, and then none comes. Errors: EBUSY (some are enabled), EINVAL (more than there may be), EOPNOTSUPP."""
        at = self._find()
        info = self.info()
        if info.enabled:
            raise error("EBUSY", f"{self._bdf} has virtual functions; disable them first")
        if not 1 <= functions <= info.total_functions:
            raise error("EINVAL", f"{functions} virtual functions; {self._bdf} has 1 to {info.total_functions}", "functions")
        self._config.write(at + _FUNCTIONS, functions, 2)
        self._config.write(at + _CONTROL, _ENABLED, 2)
        first = pack_bdf(self._bdf) + info.first_offset
        return [bdf_text(first + i * info.stride) for i in range(functions)]

    def disable(self) -> None:
        """Clears VF Enable: they are gone when this returns, but for those whose groups a call is at work on."""
        at = self._find()
        self._config.write(at + _CONTROL, 0, 2)
        self._config.write(at + _FUNCTIONS, 0, 2)

    def _find(self) -> int:
        at = _EXTENDED
        while at:
            header = self._config.read(at)
            if header & 0xFFFF == _CAPABILITY:
                return at
            if header in (0, _ALL_ONES):
                break
            at = header >> 20
        raise error("EOPNOTSUPP", f"{self._bdf} has no SR-IOV")
