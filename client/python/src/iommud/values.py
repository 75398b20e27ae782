# long: one vocabulary, read as a list
"""What calls answer and events say, as a program meets it. Addresses and times in nanoseconds are integers; `…_ms` are milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .addresses import bdf_text
from .gen import messages as m
from .gen.names import (
    BUS_ERROR,
    DEFAULT_DOMAIN_TYPE,
    DMA_OPERATION,
    DOMAIN_TYPE,
    DRIVER_CALLBACK,
    ERROR_CODE,
    ERROR_MESSAGE,
    FAULT_KIND,
    IRQ_INDEX,
    LOG_LEVEL,
    MEMORY_ERROR,
    OUTCOME,
    PAGE_ANSWER,
    RECOVERY_RESET,
    REQUEST_POINT,
    RESET_METHOD,
    VOTE,
    BusError,
    DefaultDomainType,
    DmaOperation,
    DomainType,
    DriverCallback,
    ErrorCode,
    ErrorMessage,
    FaultKind,
    IrqIndex,
    LogLevel,
    MemoryError,
    Outcome,
    PageAnswer,
    RecoveryReset,
    RequestPoint,
    ResetMethod,
    Vote,
)
from .vocabulary import access_text

_NS_OF_MS = 1e6


@dataclass(frozen=True, slots=True)
class Allocation:
    # Physical.
    address: int
    # Whole pages.
    size: int


@dataclass(frozen=True, slots=True)
class Grant:
    """The range that one translation has; `access` is empty where nothing is allowed."""

    address: int
    size: int
    access: str
    untranslated_only: bool
    privileged: bool
    is_global: bool
    snooped: bool

    @staticmethod
    def of(body: m.Grant) -> Grant:
        return Grant(
            body.address,
            body.bytes,
            access_text(body.access),
            body.untranslated_only,
            body.privileged,
            bool(getattr(body, "global")),
            body.snooped,
        )


@dataclass(frozen=True, slots=True)
class DmaResult:
    """How an operation ended. `outcome` is of the first request that was not performed; a fault is an outcome and no error."""

    outcome: Outcome
    # Requests on the bus that it was split into.
    requests: int
    # Bytes that took effect, from the start without a gap.
    size: int
    # What a read or an atomic got.
    data: bytes | None
    # The first address that did not take effect.
    failed_iova: int | None
    # What did not take effect met memory of this peer, by its number in the machine's status, which is not there any more.
    absent_owner: int | None
    # Of a translation request, in rising order.
    grants: tuple[Grant, ...]
    elapsed_ms: float

    @property
    def ok(self) -> bool:
        return self.outcome == "performed"

    @staticmethod
    def of(body: m.DmaResult, data: bytes | None) -> DmaResult:
        grants = list(body.grants) or ([body.grant] if body.HasField("grant") else [])
        return DmaResult(
            OUTCOME.name_of(body.outcome),
            body.requests,
            body.bytes_done,
            data,
            body.failed_iova if body.HasField("failed_iova") else None,
            body.absent_owner if body.HasField("absent_owner") else None,
            tuple(map(Grant.of, grants)),
            body.elapsed_ns / _NS_OF_MS,
        )


@dataclass(frozen=True, slots=True)
class MapReport:
    iova: int
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class UnmapReport:
    # Less than asked for where nothing was mapped.
    size: int
    # ATC invalidations that timed out.
    timed_out: int
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class DirtyReport:
    """Which pages were written."""

    # Their IOVAs, rising.
    pages: tuple[int, ...]
    # ATC invalidations that timed out: these functions may write unseen.
    timed_out: int
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class InvalidateReport:
    # Requests that were done: those before the first that cannot be.
    processed: int
    # Of that one; None where all were done.
    error: ErrorCode | None
    message: str
    # ATC invalidations that timed out.
    timed_out: int
    elapsed_ms: float

    @staticmethod
    def of(body: m.DomainInvalidateReply) -> InvalidateReport:
        error = ERROR_CODE.name_of(body.error) if body.error else None
        return InvalidateReport(body.processed, error, body.message, body.timed_out, body.elapsed_ns / _NS_OF_MS)


@dataclass(frozen=True, slots=True)
class IovaRanges:
    # First and last address of each, rising.
    ranges: tuple[tuple[int, int], ...]
    # How many there are.
    count: int
    # What addresses and sizes of areas are multiples of.
    alignment: int
    # EMSGSIZE where there are more than were asked for.
    error: ErrorCode | None

    @staticmethod
    def of(body: m.IoasRangesReply) -> IovaRanges:
        ranges = tuple((one.first, one.last) for one in body.ranges)
        return IovaRanges(ranges, body.count, body.alignment, ERROR_CODE.name_of(body.error) if body.error else None)


@dataclass(frozen=True, slots=True)
class IndeterminateRange:
    """A write whose fate only its memory's owner knows."""

    address: int
    size: int


@dataclass(frozen=True, slots=True)
class WindowReport:
    """What a drain and a fence did."""

    # Windows that are open afterwards.
    depth: int
    # Requests that ended by themselves, that were dropped, and writes whose fate is unknown.
    drained: int
    aborted: int
    indeterminate: int
    indeterminate_ranges: tuple[IndeterminateRange, ...]
    # Invalidations that the fence waited for.
    completed: int
    timed_out: int
    # Prepare and done do nothing here: no IOMMU, or (linux-7.1) no ATS.
    skipped: bool
    elapsed_ms: float

    @staticmethod
    def of(body: m.WindowReport, elapsed_ns: int) -> WindowReport:
        ranges = tuple(IndeterminateRange(one.address, one.bytes) for one in body.indeterminate_ranges)
        return WindowReport(
            body.depth,
            body.drained,
            body.aborted,
            body.indeterminate,
            ranges,
            body.completed,
            body.timed_out,
            body.skipped,
            elapsed_ns / _NS_OF_MS,
        )


@dataclass(frozen=True, slots=True)
class ResetAttempt:
    method: ResetMethod
    # None: it has reset the function.
    error: ErrorCode | None


@dataclass(frozen=True, slots=True)
class ResetReport:
    """What a whole reset did; what its window did is there too."""

    method: ResetMethod
    tried: tuple[ResetAttempt, ...]
    window: WindowReport
    # Transactions were still pending after Linux's wait of 100 + 200 + 400 ms.
    pending_timed_out: bool
    # What Linux would print.
    warning: str
    elapsed_ms: float

    @property
    def drained(self) -> int:
        return self.window.drained

    @property
    def aborted(self) -> int:
        return self.window.aborted

    @property
    def indeterminate(self) -> int:
        return self.window.indeterminate

    @staticmethod
    def of(body: m.ResetFunctionReply) -> ResetReport:
        tried = tuple(
            ResetAttempt(RESET_METHOD.name_of(one.method), ERROR_CODE.name_of(one.error) if one.HasField("error") else None)
            for one in body.tried
        )
        return ResetReport(
            RESET_METHOD.name_of(body.method),
            tried,
            WindowReport.of(body.report, body.elapsed_ns),
            body.pending_timed_out,
            body.warning,
            body.elapsed_ns / _NS_OF_MS,
        )


@dataclass(frozen=True, slots=True)
class DoneReport:
    # Windows that are still open.
    depth: int
    skipped: bool
    # What Linux would print: what went wrong.
    warning: str
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class ResetMethods:
    methods: tuple[ResetMethod, ...]
    warning: str
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class BusResetReport:
    # What was reset, by address; bridges too.
    functions: tuple[str, ...]
    window: WindowReport
    warning: str
    elapsed_ms: float


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What recovery from an error did."""

    recovered: bool
    # What the votes came to.
    status: Vote
    reset: RecoveryReset
    affected: tuple[str, ...]
    # Why the reset failed; empty where it did not.
    warning: str
    elapsed_ms: float

    @staticmethod
    def of(body: m.ErrorRecoverReply) -> RecoveryReport:
        return RecoveryReport(
            body.recovered,
            VOTE.name_of(body.status),
            RECOVERY_RESET.name_of(body.reset),
            tuple(map(bdf_text, body.affected)),
            body.warning,
            body.elapsed_ns / _NS_OF_MS,
        )


@dataclass(frozen=True, slots=True)
class UnplugReport:
    # What is gone, by address.
    functions: tuple[str, ...]
    # Of what they had in flight.
    drained: int
    aborted: int
    # Of the Invalidate Requests that were awaited.
    completed: int
    timed_out: int
    elapsed_ms: float

    @staticmethod
    def of(body: m.FunctionUnplugReply) -> UnplugReport:
        gone = tuple(map(bdf_text, body.functions))
        return UnplugReport(gone, body.drained, body.aborted, body.completed, body.timed_out, body.elapsed_ns / _NS_OF_MS)


@dataclass(frozen=True, slots=True)
class SriovInfo:
    # VF Enable.
    enabled: bool
    # NumVFs, and the most that it may be.
    functions: int
    total_functions: int
    first_offset: int
    stride: int


SlotEvent = Literal["attention-button", "power-fault", "latch", "presence", "command-completed", "link"]


@dataclass(frozen=True, slots=True)
class SlotInfo:
    # A card is in it.
    present: bool
    # True also where there is no power controller.
    powered: bool
    link_active: bool
    # What has happened since the status was last cleared.
    events: tuple[SlotEvent, ...]


@dataclass(frozen=True, slots=True)
class DirectRegion:
    """Memory that firmware uses through a function (IOMMU_RESV_DIRECT)."""

    address: int
    size: int
    # The function can do without it once its driver runs.
    relaxable: bool


@dataclass(frozen=True, slots=True)
class ReservedRegion:
    """IOVAs of a function that are not to be given away."""

    address: int
    size: int
    # As in sysfs, where both kinds of MSI are `msi`.
    type: str


@dataclass(frozen=True, slots=True)
class MachineInfo:
    name: str
    seed: int
    behaviour: str
    clock: str
    now_ns: int
    functions: int
    iommu: bool


@dataclass(frozen=True, slots=True)
class DomainSummary:
    domain: int
    type: DomainType
    shared_address: bool

    @staticmethod
    def of(body: m.DomainSummary) -> DomainSummary:
        return DomainSummary(body.domain, DOMAIN_TYPE.name_of(body.type), body.shared_address)


@dataclass(frozen=True, slots=True)
class PasidSummary:
    pasid: int
    logical_domain: DomainSummary | None
    # None: none is set in hardware, as in a reset window.
    physical_domain: DomainSummary | None


@dataclass(frozen=True, slots=True)
class FunctionSummary:
    function: str
    # `replay`, `dma-probe`, `edu`, `remote`, `bridge`.
    model: str
    label: str
    config_size: int
    vendor: int
    device: int
    class_code: int
    secondary_bus: int | None
    # IOMMU group; None without an IOMMU.
    group: int | None
    ats_supported: bool
    # A reset window is open.
    blocked: bool
    reset_depth: int
    gate_open: bool
    in_flight: int
    # A remote function that nobody has claimed.
    absent: bool
    link_down: bool
    physical_function: str | None

    @staticmethod
    def of(body: m.FunctionSummary) -> FunctionSummary:
        return FunctionSummary(
            bdf_text(body.function),
            body.model,
            body.label,
            body.config_bytes,
            body.vendor,
            body.device,
            body.class_code,
            body.secondary_bus if body.HasField("secondary_bus") else None,
            body.group if body.HasField("group") else None,
            body.ats_supported,
            body.blocked,
            body.reset_depth,
            body.gate_open,
            body.in_flight,
            body.absent,
            body.link_down,
            bdf_text(body.physical_function) if body.HasField("physical_function") else None,
        )


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    summary: FunctionSummary
    bus_master: bool
    ats_enabled: bool
    # In the order in which Linux tries them.
    reset_methods: tuple[ResetMethod, ...]
    logical_domain: DomainSummary | None
    # What the hardware uses.
    physical_domain: DomainSummary | None
    pasids: tuple[PasidSummary, ...]
    # Tokens of the open windows, the first opened first.
    windows: tuple[str, ...]
    armed_faults: tuple[FaultKind, ...]
    # Outstanding invalidations.
    itags: int
    attach_deferred: bool
    # Memory that firmware uses through it, mapped 1:1 in its default domain.
    direct_regions: tuple[DirectRegion, ...]
    # As sysfs `reserved_regions` has them: merged, by start.
    reserved_regions: tuple[ReservedRegion, ...]

    @staticmethod
    def of(body: m.FunctionInfoReply) -> FunctionInfo:
        return FunctionInfo(
            FunctionSummary.of(body.summary),
            body.bus_master,
            body.ats_enabled,
            tuple(map(RESET_METHOD.name_of, body.reset_methods)),
            _domain(body, "logical_domain"),
            _domain(body, "physical_domain"),
            tuple(PasidSummary(one.pasid, _domain(one, "logical_domain"), _domain(one, "physical_domain")) for one in body.pasids),
            tuple(body.windows),
            tuple(map(FAULT_KIND.name_of, body.armed_faults)),
            body.itags,
            body.attach_deferred,
            tuple(DirectRegion(one.address, one.bytes, one.relaxable) for one in body.direct_regions),
            tuple(ReservedRegion(one.address, one.bytes, one.type) for one in body.reserved_regions),
        )


def _domain(body: m.Message, field: str) -> DomainSummary | None:
    return DomainSummary.of(getattr(body, field)) if body.HasField(field) else None


@dataclass(frozen=True, slots=True)
class RegionInfo:
    # 0 to 5 BAR, 6 expansion ROM.
    region: int
    # `io`, `memory32`, `memory64` or `rom`.
    kind: str
    prefetchable: bool
    address: int
    # None where nothing tells it.
    size: int | None


@dataclass(frozen=True, slots=True)
class Irq:
    index: IrqIndex
    count: int
    enabled: bool
    maskable: bool
    pending: tuple[int, ...]
    granted: int

    @staticmethod
    def of(body: m.Irq) -> Irq:
        return Irq(IRQ_INDEX.name_of(body.index), body.count, body.enabled, body.maskable, tuple(body.pending), body.granted)


@dataclass(frozen=True, slots=True)
class GroupInfo:
    group: int
    members: tuple[str, ...]
    domain: DomainSummary | None
    default_domain: DomainSummary | None
    default_type: DefaultDomainType | None
    # Members in a reset window (`recovery_cnt`).
    recovery_count: int
    owned: bool
    # A call holds the group mutex, and so many wait for it.
    busy: bool
    waiting: int

    @staticmethod
    def of(body: m.GroupInfoReply) -> GroupInfo:
        return GroupInfo(
            body.group,
            tuple(map(bdf_text, body.members)),
            _domain(body, "domain"),
            _domain(body, "default_domain"),
            DEFAULT_DOMAIN_TYPE.name_of(body.default_type) if body.default_type else None,
            body.recovery_count,
            body.owned,
            body.busy,
            body.waiting,
        )


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A request in flight."""

    request: int
    operation: DmaOperation
    point: RequestPoint
    held: bool
    iova: int
    # Physical; None before translation.
    address: int | None
    size: int
    since_ns: int
    epoch: int
    # What it waits for, in words.
    waits_for: str

    @staticmethod
    def of(body: m.LedgerEntry) -> LedgerEntry:
        return LedgerEntry(
            body.request,
            DMA_OPERATION.name_of(body.operation),
            REQUEST_POINT.name_of(body.point),
            body.held,
            body.iova,
            body.address if body.HasField("address") else None,
            body.bytes,
            body.since_ns,
            body.epoch,
            body.waits_for,
        )


@dataclass(frozen=True, slots=True)
class ArmedFault:
    """A fault on purpose that is armed."""

    armed: int
    fault: FaultKind
    # None of one of memory that acts on every function's DMA.
    function: str | None
    address: int | None
    size: int | None
    error: MemoryError | None
    passes: int
    acted: int
    # None: without end.
    left: int | None
    point: RequestPoint | None
    delay_ms: float
    # When it is in force, on the machine's clock; None: without end.
    from_ms: float
    until_ms: float | None
    in_force: bool
    hosts: bool
    text: str

    @staticmethod
    def of(body: m.ArmedFault) -> ArmedFault:
        return ArmedFault(
            body.armed,
            FAULT_KIND.name_of(body.fault),
            bdf_text(body.function) if body.HasField("function") else None,
            body.address if body.HasField("address") else None,
            body.bytes if body.HasField("bytes") else None,
            MEMORY_ERROR.name_of(body.error) if body.error else None,
            body.passes,
            body.acted,
            body.left if body.HasField("left") else None,
            REQUEST_POINT.name_of(body.point) if body.point else None,
            body.delay_ns / _NS_OF_MS,
            body.from_ns / _NS_OF_MS,
            body.until_ns / _NS_OF_MS if body.HasField("until_ns") else None,
            body.in_force,
            body.hosts,
            body.text,
        )


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """The IOMMU refused a request."""

    # Counts from 1 in this machine.
    number: int
    time_ns: int
    function: str
    pasid: int | None
    iova: int
    access: str
    cause: Outcome
    # 1 or 2; 0 where no stage refused.
    stage: int
    privileged: bool
    execute: bool
    # `00:02.0 write 0x11000: not present`.
    text: str

    @staticmethod
    def of(body: m.FaultRecord) -> FaultRecord:
        return FaultRecord(
            body.number,
            body.time_ns,
            bdf_text(body.function),
            body.pasid if body.HasField("pasid") else None,
            body.iova,
            access_text(body.access),
            OUTCOME.name_of(body.cause),
            body.stage,
            body.privileged,
            body.execute,
            body.text,
        )


@dataclass(frozen=True, slots=True)
class RemappedInterrupt:
    index: int
    vector: int
    destination: int


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A message of an interrupt came through; `count` equal ones are told as one to a slow reader."""

    function: str
    address: int
    data: int
    count: int
    time_ns: int
    # The interrupt of the function, from 0; None: it wrote the message as any other DMA.
    source_vector: int | None
    remapped: RemappedInterrupt | None

    @staticmethod
    def of(body: m.InterruptEvent) -> Interrupt:
        of = body.remapped
        return Interrupt(
            bdf_text(body.function),
            body.address,
            body.data,
            body.count,
            body.time_ns,
            body.source_vector if body.HasField("source_vector") else None,
            RemappedInterrupt(of.index, of.vector, of.destination) if body.HasField("remapped") else None,
        )


@dataclass(frozen=True, slots=True)
class IntxChange:
    """A function has asserted or deasserted INTx."""

    function: str
    # `A` to `D`.
    pin: str
    asserted: bool
    # Where it comes out at the root: `00:02`, its pin, and how many functions assert it now.
    line_device: str
    line_pin: str
    line_sources: int
    time_ns: int

    @staticmethod
    def of(body: m.IntxEvent) -> IntxChange:
        device = bdf_text(body.line_device).removesuffix(".0")
        return IntxChange(
            bdf_text(body.function), _pin(body.pin), body.asserted, device, _pin(body.line_pin), body.line_sources, body.time_ns
        )


def _pin(pin: int) -> str:
    return "ABCD"[pin - 1] if 1 <= pin <= 4 else str(pin)


@dataclass(frozen=True, slots=True)
class WindowChange:
    function: str
    open: bool
    # Nested windows now.
    depth: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class DriverCall:
    """Linux calls a function's driver round a reset of it."""

    function: str
    callback: DriverCallback
    time_ns: int

    @staticmethod
    def of(body: m.DriverCallbackEvent) -> DriverCall:
        return DriverCall(bdf_text(body.function), DRIVER_CALLBACK.name_of(body.callback), body.time_ns)


@dataclass(frozen=True, slots=True)
class LogLine:
    """What the kernel would print."""

    level: LogLevel
    # None: about the whole machine.
    function: str | None
    text: str
    time_ns: int

    @staticmethod
    def of(body: m.LogEvent) -> LogLine:
        function = bdf_text(body.function) if body.HasField("function") else None
        return LogLine(LOG_LEVEL.name_of(body.level), function, body.text, body.time_ns)


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """What the integers mean is the kind's; the name is what to go by."""

    name: str
    time_ns: int
    values: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class HotplugChange:
    function: str
    # The bridge above it; None on a root bus.
    port: str | None
    present: bool
    # `plugged`, `unplugged`, `surprise`, `vf-enabled`, `vf-disabled`.
    reason: str
    time_ns: int

    @staticmethod
    def of(body: m.HotplugEvent) -> HotplugChange:
        port = bdf_text(body.port) if body.HasField("port") else None
        return HotplugChange(bdf_text(body.function), port, body.present, body.reason, body.time_ns)


@dataclass(frozen=True, slots=True)
class MemoryChange:
    """Who owns a range of guest memory has changed."""

    # Physical.
    address: int
    size: int
    # `owned`; `absent`: its owner has vanished, and it stays for the grace time; `back`: it is owned again; `gone`: nobody came in time; `released`: given up.
    change: str
    # The owner, by its number in the machine's status; where it is not there any more, who it was.
    peer: int
    time_ns: int

    @staticmethod
    def of(body: m.MemoryEvent) -> MemoryChange:
        return MemoryChange(body.address, body.bytes, body.change, body.peer, body.time_ns)


@dataclass(frozen=True, slots=True)
class BusErrorReport:
    """An error on the bus, as the function that detected it logged it."""

    function: str
    error: BusError
    severity: ErrorMessage
    masked: bool
    # None where reporting is not enabled.
    message: ErrorMessage | None
    # Whom the message reached, and the port that contains what is below it.
    root: str | None
    interrupt: bool
    system_error: bool
    contained: str | None
    header: tuple[int, ...]
    text: str
    time_ns: int

    @staticmethod
    def of(body: m.ErrorEvent) -> BusErrorReport:
        return BusErrorReport(
            bdf_text(body.function),
            BUS_ERROR.name_of(body.error),
            ERROR_MESSAGE.name_of(body.severity),
            body.masked,
            ERROR_MESSAGE.name_of(body.message) if body.message else None,
            bdf_text(body.root) if body.HasField("root") else None,
            body.interrupt,
            body.system_error,
            bdf_text(body.contained) if body.HasField("contained") else None,
            tuple(body.header),
            body.text,
            body.time_ns,
        )


@dataclass(frozen=True, slots=True)
class PageRange:
    iova: int
    pages: int
    access: str
    privileged: bool


@dataclass(frozen=True, slots=True)
class PageFault:
    """A group of page requests that waits for `machine.answer_page_fault(number, …)`."""

    number: int
    time_ns: int
    function: str
    pasid: int | None
    group: int
    domain: int
    ranges: tuple[PageRange, ...]

    @staticmethod
    def of(body: m.PageFault) -> PageFault:
        return PageFault(
            body.number,
            body.time_ns,
            bdf_text(body.function),
            body.pasid if body.HasField("pasid") else None,
            body.group,
            body.domain,
            tuple(PageRange(one.iova, one.pages, access_text(one.access), one.privileged) for one in body.ranges),
        )


@dataclass(frozen=True, slots=True)
class PageRequestResult:
    answer: PageAnswer
    group: int
    elapsed_ms: float

    @staticmethod
    def of(body: m.ModelPageRequestReply | m.PageRequestReply) -> PageRequestResult:
        return PageRequestResult(PAGE_ANSWER.name_of(body.answer), body.group, body.elapsed_ns / _NS_OF_MS)


@dataclass(frozen=True, slots=True)
class HeldCall:
    """A call that stands before a step (docs/steps.md)."""

    id: int
    call: str
    step: str
    # None of an unmap, which is a domain's.
    function: str | None
    hold: int
    since_ns: int
