# Made from aio/function.py by tools/make_blocking.py. Do not edit.
"""One function of a machine."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Sequence

from ..addresses import bdf_text, ns_of_ms, u32
from ..core import operations as ops
from ..core.operation import operation
from ..errors import invalid
from ..gen import bodies as b
from ..gen import messages as m
from ..gen.names import DEFAULT_DOMAIN_TYPE, RESET_METHOD, DefaultDomainType, OnDeadline, ResetMethod
from ..values import (
    BusResetReport,
    DoneReport,
    FunctionInfo,
    GroupInfo,
    Irq,
    LedgerEntry,
    RegionInfo,
    ResetMethods,
    ResetReport,
    UnplugReport,
    WindowReport,
)
from .domains import Domain
from .faults import FaultInjection
from .ioas import Ioas
from .mappings import Mappings
from .model import Model
from .pasid import Pasid
from .recovery import Recovery
from .region import Region
from .slot import Slot
from .sriov import Sriov

if TYPE_CHECKING:
    from .connection import Connection, Pending

_NS_OF_MS = 1e6


class ResetWindow:
    """An open reset window. `with` closes it, unless it was closed."""

    def __init__(self, function: Function, token: str, report: WindowReport) -> None:
        self._function = function
        self.token = token
        self.report = report
        self._closed = False

    def done(self) -> DoneReport:
        """Closes it; the last one gives the function its current domains back. What went wrong is its `warning`. Errors: ENODEV, EINVAL."""
        report = self._function.reset_done(self.token)
        self._closed = True
        return report

    def __enter__(self) -> ResetWindow:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if not self._closed:
            self.done()


class Function:
    """One function. Making a handle asks nothing: a call tells when there is no such function (ENODEV)."""

    def __init__(self, connection: Connection, function: int) -> None:
        self.bdf = bdf_text(function)
        self._connection = connection
        self._function = function
        self.config = Region(connection, function, ops.CONFIG)
        self.rom = Region(connection, function, ops.ROM)
        self.dma = Mappings(connection, self.bdf, function=function)
        self.model = Model(connection, function)
        self.faults = FaultInjection(connection, function)
        self.sriov = Sriov(self.config, self.bdf)
        """Its virtual functions."""
        self.slot = Slot(connection, function, self.config)
        """Of a port: the slot below it."""
        self.recovery = Recovery(connection, function)
        """Recovery from errors on the bus."""

    def bar(self, index: int) -> Region:
        """The base address register with this number, 0 to 5."""
        if not 0 <= index < ops.ROM:
            raise invalid("region", f"there is no BAR {index}")
        return Region(self._connection, self._function, index)

    def pasid(self, pasid: int) -> Pasid:
        """One PASID of it."""
        return Pasid(self._connection, self._function, pasid)

    def info(self) -> FunctionInfo:
        request = m.FunctionInfo(function=self._function)
        return self._connection.ask(
            operation(b.FUNCTION_INFO, request, m.FunctionInfoReply, FunctionInfo.of, f"a description of {self.bdf}")
        )

    def regions(self) -> list[RegionInfo]:
        """Where its base address registers are, and how large."""

        def regions(reply: m.FunctionRegionsReply) -> list[RegionInfo]:
            return [
                RegionInfo(one.region, one.kind, one.prefetchable, one.address, one.bytes if one.HasField("bytes") else None)
                for one in reply.regions
            ]

        request = m.FunctionRegions(function=self._function)
        return self._connection.ask(
            operation(b.FUNCTION_REGIONS, request, m.FunctionRegionsReply, regions, f"the regions of {self.bdf}")
        )

    def irqs(self) -> list[Irq]:
        """The ways in which it interrupts, and how they stand."""
        request = m.IrqInfo(function=self._function)
        return self._connection.ask(
            operation(b.IRQ_INFO, request, m.IrqInfoReply, lambda reply: [Irq.of(one) for one in reply.irqs], f"interrupts of {self.bdf}")
        )

    def group(self) -> GroupInfo:
        """Its IOMMU group. Errors: EOPNOTSUPP (no IOMMU)."""
        request = m.GroupInfo(function=self._function)
        return self._connection.ask(operation(b.GROUP_INFO, request, m.GroupInfoReply, GroupInfo.of, f"the group of {self.bdf}"))

    def attach(self, to: Domain | Ioas) -> None:
        """Attaches its whole group. Errors: ENOENT, EBUSY (a window is open in the group), EIO (the hardware refused); of an I/O address space EINVAL (nobody
        has claimed the group), EADDRINUSE (an area is in a reserved region)."""
        request = m.DomainAttach(
            function=self._function,
            domain=to.number if isinstance(to, Domain) else None,
            ioas=to.number if isinstance(to, Ioas) else None,
        )
        self._connection.ask(operation(b.DOMAIN_ATTACH, request, m.DomainAttachReply, _nothing, f"an attach of {self.bdf}"))

    def detach(self) -> None:
        """Back to the group's default domain."""
        request = m.DomainDetach(function=self._function)
        self._connection.ask(operation(b.DOMAIN_DETACH, request, m.DomainDetachReply, _nothing, f"a detach of {self.bdf}"))

    def claim_owner(self) -> None:
        """Takes the group out of the kernel's hands: it rests on its blocking domain. Errors: EBUSY."""
        request = m.OwnerClaim(function=self._function)
        self._connection.ask(operation(b.OWNER_CLAIM, request, m.OwnerClaimReply, _nothing, f"a claim of the group of {self.bdf}"))

    def release_owner(self) -> None:
        """Gives the group back to its default domain. Errors: EINVAL (not claimed)."""
        request = m.OwnerRelease(function=self._function)
        self._connection.ask(operation(b.OWNER_RELEASE, request, m.OwnerReleaseReply, _nothing, f"giving up the group of {self.bdf}"))

    def set_default_domain(self, type: DefaultDomainType) -> None:
        """Gives its group another default domain, as sysfs `type` does. Errors: EINVAL, EPERM (a driver uses the group), EBUSY (a window is open), ENOMEM."""
        request = m.DefaultDomainSet(function=self._function, type=DEFAULT_DOMAIN_TYPE.number_of(type, "type"))
        what = f"another default domain of {self.bdf}"
        self._connection.ask(operation(b.DEFAULT_DOMAIN_SET, request, m.DefaultDomainSetReply, _nothing, what))

    def deferred_attach(self) -> None:
        """Says that its driver is about to use it (iommu_deferred_attach). Errors: EBUSY (in a reset window, and still deferred), EIO."""
        request = m.DeferredAttach(function=self._function)
        what = f"a deferred attach of {self.bdf}"
        self._connection.ask(operation(b.DEFERRED_ATTACH, request, m.DeferredAttachReply, _nothing, what))

    def report_broken(self) -> None:
        """Says that it no longer behaves: it is blocked at once, until a reset of it succeeds. Errors: EOPNOTSUPP (only `strict` has this)."""
        request = m.ReportBroken(function=self._function)
        self._connection.ask(operation(b.REPORT_BROKEN, request, m.ReportBrokenReply, _nothing, f"a report of {self.bdf}"))

    def ledger(self) -> list[LedgerEntry]:
        """What it has in flight, in issue order."""
        request = m.Ledger(function=self._function)
        return self._connection.ask(
            operation(
                b.LEDGER,
                request,
                m.LedgerReply,
                lambda reply: [LedgerEntry.of(one) for one in reply.entries],
                f"the ledger of {self.bdf}",
            )
        )

    def release(self, request: int | None = None) -> None:
        """Lets a held request go on, by its number in the ledger, or all that are held. Errors: ENOENT (none is held)."""
        body = m.DmaRelease(function=self._function, request=request)
        self._connection.ask(operation(b.DMA_RELEASE, body, m.DmaReleaseReply, _nothing, f"a release of {self.bdf}"))

    def reset_prepare(self, *, deadline_ms: float, on_deadline: OnDeadline | None = None, token: str | None = None) -> ResetWindow:
        """Opens a reset window: closes the gate, drains for `deadline_ms` of the machine's clock, fences. What is in flight then is dropped (`abort`), or
        it fails. The same `token` gets the same answer, another nests.

        Errors: EINVAL, ETIMEDOUT (`fail`: nothing was changed), EIO (the IOMMU refused the blocking domain).
        """
        named = self._connection.next_token() if token is None else token
        request = m.ResetPrepare(
            function=self._function,
            token=named,
            deadline_ns=ns_of_ms(deadline_ms, "deadline_ms"),
            on_deadline=ops.on_deadline_number(on_deadline),
        )

        def window(reply: m.ResetPrepareReply) -> ResetWindow:
            return ResetWindow(self, named, WindowReport.of(reply.report, reply.elapsed_ns))

        return self._connection.ask(operation(b.RESET_PREPARE, request, m.ResetPrepareReply, window, f"reset-prepare of {self.bdf}"))

    def reset_trigger(self, method: ResetMethod | None = None) -> None:
        """The reset itself, with no window of its own, until the function is ready. Without a method: those that are enabled, one after the other.
        Errors: ENOTTY (no such method, or not ready in 60 s), EINVAL (`pm`, and not in D0)."""
        request = m.ResetTrigger(function=self._function, method=_method(method))
        self._connection.ask(operation(b.RESET_TRIGGER, request, m.ResetTriggerReply, _nothing, f"a reset of {self.bdf}"))

    def reset_done(self, token: str | None = None, *, all: bool | None = None) -> DoneReport:
        """Closes a window by its token, or all of them, also those of a host that is gone. What went wrong is its `warning`. Errors: EINVAL."""
        request = m.ResetDone(function=self._function, token=token, all=all)

        def report(reply: m.ResetDoneReply) -> DoneReport:
            return DoneReport(reply.depth, reply.skipped, reply.warning, reply.elapsed_ns / _NS_OF_MS)

        return self._connection.ask(operation(b.RESET_DONE, request, m.ResetDoneReply, report, f"reset-done of {self.bdf}"))

    def start_reset(
        self,
        method: ResetMethod | None = None,
        *,
        deadline_ms: float,
        on_deadline: OnDeadline | None = None,
        window: bool | None = None,
        try_lock: bool | None = None,
    ) -> Pending[ResetReport]:
        """As `reset`, without waiting for it."""
        request = m.ResetFunction(
            function=self._function,
            method=_method(method),
            window=window,
            deadline_ns=ns_of_ms(deadline_ms, "deadline_ms"),
            on_deadline=ops.on_deadline_number(on_deadline),
            try_lock=try_lock,
        )
        return self._connection.start(operation(b.RESET_FUNCTION, request, m.ResetFunctionReply, ResetReport.of, f"a reset of {self.bdf}"))

    def reset(
        self,
        method: ResetMethod | None = None,
        *,
        deadline_ms: float,
        on_deadline: OnDeadline | None = None,
        window: bool | None = None,
        try_lock: bool | None = None,
    ) -> ResetReport:
        """The whole of Linux's pci_reset_function. `window=False`: without prepare and done. Errors as `reset_prepare`, `reset_trigger` and `reset_done`;
        EAGAIN (`try_lock`: another reset is at work)."""
        pending = self.start_reset(method, deadline_ms=deadline_ms, on_deadline=on_deadline, window=window, try_lock=try_lock)
        return pending.result()

    def reset_probe(self) -> ResetMethods:
        """The reset methods that a probe finds. In `linux-7.1` looking may open and close a window."""
        request = m.ResetProbe(function=self._function)
        return self._connection.ask(operation(b.RESET_PROBE, request, m.ResetProbeReply, _methods, f"a reset probe of {self.bdf}"))

    def set_reset_methods(self, methods: str | Sequence[ResetMethod]) -> ResetMethods:
        """Writes `reset_method`; `default` for all that a probe finds, an empty one for none. Errors: EINVAL (nothing was changed)."""
        text = methods if isinstance(methods, str) else " ".join(methods)
        request = m.ResetMethodsSet(function=self._function, methods=text)
        return self._connection.ask(
            operation(b.RESET_METHODS_SET, request, m.ResetMethodsSetReply, _methods, f"reset_method of {self.bdf}")
        )

    def reset_bus(
        self,
        *,
        slot: bool | None = None,
        try_lock: bool | None = None,
        deadline_ms: float = 0,
        on_deadline: OnDeadline | None = None,
    ) -> BusResetReport:
        """Resets everything below this bridge at once (pci_reset_bus). Errors: ENOTTY, EAGAIN (`try_lock`), in `strict` as `reset_prepare`."""
        request = m.BusReset(
            function=self._function,
            slot=slot,
            try_lock=try_lock,
            deadline_ns=ns_of_ms(deadline_ms, "deadline_ms"),
            on_deadline=ops.on_deadline_number(on_deadline),
        )

        def report(reply: m.BusResetReply) -> BusResetReport:
            window = WindowReport.of(reply.report, reply.elapsed_ns)
            return BusResetReport(tuple(map(bdf_text, reply.functions)), window, reply.warning, reply.elapsed_ns / _NS_OF_MS)

        return self._connection.ask(operation(b.BUS_RESET, request, m.BusResetReply, report, f"a bus reset below {self.bdf}"))

    def cold_reset(self) -> None:
        """Power goes off and on below this port. Errors: EINVAL (not a bridge)."""
        request = m.ColdReset(function=self._function)
        self._connection.ask(operation(b.COLD_RESET, request, m.ColdResetReply, _nothing, f"a cold reset below {self.bdf}"))

    def unplug(self, *, surprise: bool | None = None, deadline_ms: float | None = None) -> UnplugReport:
        """Takes it out, with what is below it; of a root or downstream port what is below, and the port stays. Returns when it is gone. `surprise`: pulled out, its
        link is down at once; else in order, and what is in flight may take `deadline_ms` to end. Errors: ENODEV, EBUSY."""
        request = m.FunctionUnplug(
            function=self._function,
            surprise=surprise,
            deadline_ns=None if deadline_ms is None else ns_of_ms(deadline_ms, "deadline_ms"),
        )
        what = f"{self.bdf} to be unplugged"
        return self._connection.ask(operation(b.FUNCTION_UNPLUG, request, m.FunctionUnplugReply, UnplugReport.of, what))


def _method(method: ResetMethod | None) -> int | None:
    return None if method is None else RESET_METHOD.number_of(method, "method")


def _methods(reply: m.ResetProbeReply | m.ResetMethodsSetReply) -> ResetMethods:
    return ResetMethods(tuple(map(RESET_METHOD.name_of, reply.methods)), reply.warning, reply.elapsed_ns / _NS_OF_MS)


def _nothing(_reply: m.Message) -> None:
    return None
