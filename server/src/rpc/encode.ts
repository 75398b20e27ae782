import { BODY, s64FromNumber, u64FromBigint, u64FromNumber } from '../../../proto/index.ts';
/** The machine's replies, events and trace to bodies of the wire. */
import { NO_PASID, TRACE_KINDS, type TraceRecord } from '../core/base/index.ts';
import type { DmaResult, FaultRecord, HeldCall, LedgerEntry, MachineEvent, Reply } from '../core/machine/index.ts';
import { armedFault, errorReport, functionDetail, recoverBody, functionSummary, groupDetail, regionInfo } from './encode-descriptions.ts';
import { pageFault, pageRequestReply } from './encode-pages.ts';
import { resetBody } from './encode-resets.ts';
import { CALLBACKS, LEDGER_OPERATIONS, LEDGER_POINTS, LEVELS, OUTCOME } from './enums.ts';
import { errorBody } from './errors.ts';
import { interruptBody, intxBody, irqBody, raisedBody } from './interrupt-fields.ts';
import { invalidateBody, rangesBody, unmappedBody } from './ioas-fields.ts';
import type { Send } from './send.ts';

/** The body of a reply. Its number is {@link replyNumber}; its bulk bytes are {@link replyData}. */
export function replyBody(reply: Reply): object {
  switch (reply.kind) {
    case 'region-read':
      return { value: { low: reply.valueLow, high: reply.valueHigh } } satisfies Send<'RegionReadReply'>;
    case 'dma':
      // DmaReadReply, DmaWriteReply, DmaAtomicReply and ModelDmaReply are alike.
      return { result: dmaResult(reply) } satisfies Send<'DmaReadReply'>;
    case 'ok':
      // So are the replies that say only how far the clock moved.
      return { elapsedNs: u64FromNumber(reply.elapsedNs) } satisfies Send<'RegionWriteReply'>;
    case 'memory-read':
    case 'config-read':
      // Their bytes are all that they say.
      return {} satisfies Send<'MemoryReadReply'>;
    case 'machine-status':
    case 'domain-list':
      // No connection asks for them.
      return {};
    case 'refused':
      return errorBody(reply.code, reply.message, reply.about, reply.elapsedNs);
    default:
      return (COLD[reply.kind] as (reply: Cold) => object)(reply);
  }
}

/** Body number of the reply to call `number`. */
export function replyNumber(number: number, reply: Reply): number {
  return reply.kind === 'refused' ? BODY.error : number + 1;
}

export function replyData(reply: Reply): Uint8Array | undefined {
  switch (reply.kind) {
    case 'dma':
    case 'memory-read':
    case 'config-read':
    case 'dirty-read':
    case 'dma-list':
      return reply.data;
    case 'device-claim':
      return reply.config;
    default:
      return undefined;
  }
}

type Cold = Exclude<
  Reply,
  { kind: 'region-read' | 'dma' | 'ok' | 'memory-read' | 'config-read' | 'refused' | 'machine-status' | 'domain-list' }
>;

const COLD: { readonly [K in Cold['kind']]: (reply: Extract<Cold, { kind: K }>) => object } = {
  'machine-info': (reply) => ({ ...reply, nowNs: u64FromNumber(reply.nowNs) }) satisfies Send<'MachineInfoReply'>,
  'function-list': (reply) => ({ functions: reply.functions.map(functionSummary) }) satisfies Send<'FunctionListReply'>,
  'function-plug': (reply) =>
    ({ functions: [...reply.functions], elapsedNs: u64FromNumber(reply.elapsedNs) }) satisfies Send<'FunctionPlugReply'>,
  'function-unplug': (reply) =>
    ({
      functions: [...reply.functions],
      drained: reply.drained,
      aborted: reply.aborted,
      completed: reply.completed,
      timedOut: reply.timedOut,
      elapsedNs: u64FromNumber(reply.elapsedNs),
    }) satisfies Send<'FunctionUnplugReply'>,
  'dma-list': (reply) =>
    ({ results: reply.results.map(dmaResult), elapsedNs: u64FromNumber(reply.elapsedNs) }) satisfies Send<'DmaListReply'>,
  'device-claim': (reply) =>
    ({ elapsedNs: u64FromNumber(reply.elapsedNs), function: reply.bdf, restarted: reply.restarted }) satisfies Send<'DeviceClaimReply'>,
  'function-info': (reply) => functionDetail(reply.function),
  'function-regions': (reply) => ({ regions: reply.regions.map(regionInfo) }) satisfies Send<'FunctionRegionsReply'>,
  'group-info': (reply) => groupDetail(reply.group),
  'irq-info': (reply) => ({ irqs: reply.irqs.map(irqBody) }) satisfies Send<'IrqInfoReply'>,
  interrupt: raisedBody,
  'call-hold': (reply) => ({ hold: reply.hold }) satisfies Send<'CallHoldReply'>,
  'calls-held': (reply) => ({ calls: reply.calls.map(heldCall) }) satisfies Send<'CallsHeldReply'>,
  'domain-alloc': (reply) => ({ domain: reply.domain }) satisfies Send<'DomainAllocReply'>,
  mapped: (reply) => ({ iova: u64FromBigint(reply.iova), elapsedNs: u64FromNumber(reply.elapsedNs) }) satisfies Send<'DmaMapReply'>,
  unmap: (reply) =>
    ({
      bytes: u64FromBigint(reply.bytes),
      timedOut: reply.timedOut,
      elapsedNs: u64FromNumber(reply.elapsedNs),
    }) satisfies Send<'DmaUnmapReply'>,
  'ioas-alloc': (reply) => ({ ioas: reply.ioas }) satisfies Send<'IoasAllocReply'>,
  'ioas-ranges': rangesBody,
  'domain-invalidate': invalidateBody,
  'iova-to-phys': (reply) => ({ mapped: reply.mapped, address: u64FromBigint(reply.address) }) satisfies Send<'IovaToPhysReply'>,
  'unmapped-ranges': unmappedBody,
  'dirty-tracking-set': (reply) =>
    ({ timedOut: reply.timedOut, elapsedNs: u64FromNumber(reply.elapsedNs) }) satisfies Send<'DirtyReadReply'>,
  'dirty-read': (reply) => ({ timedOut: reply.timedOut, elapsedNs: u64FromNumber(reply.elapsedNs) }) satisfies Send<'DirtyReadReply'>,
  'memory-alloc': (reply) =>
    ({ address: u64FromBigint(reply.address), bytes: u64FromBigint(reply.bytes) }) satisfies Send<'MemoryAllocReply'>,
  'memory-dirty': (reply) => ({ logging: reply.logging }) satisfies Send<'MemoryDirtyReply'>,
  'reset-prepare': resetBody,
  'reset-done': resetBody,
  reset: resetBody,
  'reset-methods': resetBody,
  'bus-reset': resetBody,
  'page-request': pageRequestReply,
  'page-faults': (reply) => ({ faults: reply.faults.map(pageFault) }) satisfies Send<'PageFaultsReply'>,
  ledger: (reply) => ({ entries: reply.entries.map(ledgerEntry) }) satisfies Send<'LedgerReply'>,
  'fault-records': (reply) =>
    ({ records: reply.records.map(faultRecord), overflow: u64FromNumber(reply.overflow) }) satisfies Send<'FaultRecordsReply'>,
  'fault-armed': (reply) => ({ elapsedNs: u64FromNumber(reply.elapsedNs), armed: reply.armed }) satisfies Send<'FaultArmReply'>,
  'error-recover': recoverBody,
  'fault-list': (reply) => ({ faults: reply.faults.map(armedFault) }) satisfies Send<'FaultListReply'>,
  clock: (reply) => ({ nowNs: u64FromNumber(reply.nowNs), movedNs: u64FromNumber(reply.movedNs) }) satisfies Send<'ClockAdvanceReply'>,
  'trace-hash': (reply) => ({ hash: reply.hash }) satisfies Send<'TraceHashReply'>,
};

/** Body number of an event of the machine. */
export function eventNumber(event: MachineEvent): number {
  switch (event.kind) {
    case 'fault':
      return BODY.faultEvent;
    case 'interrupt':
      return BODY.interruptEvent;
    case 'intx':
      return BODY.intxEvent;
    case 'window':
      return BODY.windowEvent;
    case 'log':
      return BODY.logEvent;
    case 'page-fault':
      return BODY.pageFaultEvent;
    case 'hotplug':
      return BODY.hotplugEvent;
    case 'memory':
      return BODY.memoryEvent;
    case 'driver-callback':
      return BODY.driverCallbackEvent;
    case 'error':
      return BODY.errorEvent;
  }
}

export function eventBody(event: MachineEvent): object {
  switch (event.kind) {
    case 'fault':
      return { record: faultRecord(event) } satisfies Send<'FaultEvent'>;
    case 'page-fault':
      return { fault: pageFault(event) } satisfies Send<'PageFaultEvent'>;
    case 'hotplug':
      return {
        function: event.bdf,
        ...(event.port === undefined ? {} : { port: event.port }),
        present: event.present,
        reason: event.reason,
        timeNs: u64FromNumber(event.timeNs),
      } satisfies Send<'HotplugEvent'>;
    case 'error':
      return errorReport(event);
    case 'interrupt':
      return interruptBody(event);
    case 'intx':
      return intxBody(event);
    case 'memory':
      return {
        address: u64FromBigint(event.address),
        bytes: u64FromBigint(event.bytes),
        change: event.change,
        peer: event.peer,
        timeNs: u64FromNumber(event.timeNs),
      } satisfies Send<'MemoryEvent'>;
    case 'window':
      return {
        function: event.bdf,
        open: event.open,
        depth: event.depth,
        timeNs: u64FromNumber(event.timeNs),
      } satisfies Send<'WindowEvent'>;
    case 'driver-callback':
      return {
        function: event.bdf,
        callback: CALLBACKS.number[event.callback],
        timeNs: u64FromNumber(event.timeNs),
      } satisfies Send<'DriverCallbackEvent'>;
    case 'log':
      return {
        level: LEVELS.number[event.level],
        function: event.bdf ?? null,
        text: event.text,
        timeNs: u64FromNumber(event.timeNs),
      } satisfies Send<'LogEvent'>;
  }
}

export function traceBody(record: TraceRecord): Send<'TraceEvent'> {
  return {
    kind: TRACE_KINDS.indexOf(record.kind),
    name: record.kind,
    timeNs: u64FromNumber(record.timeNs),
    a: s64FromNumber(record.a),
    b: s64FromNumber(record.b),
    c: s64FromNumber(record.c),
    d: s64FromNumber(record.d),
  };
}

function heldCall({ id, call, step, bdf, hold, sinceNs }: HeldCall): Send<'HeldCall'> {
  return { id, call, step, function: bdf ?? null, hold, sinceNs: u64FromNumber(sinceNs) };
}

function dmaResult(result: DmaResult): Send<'DmaResult'> {
  const { grants = [], failedIova, absentOwner } = result;
  const [grant] = grants;
  return {
    outcome: OUTCOME.number[result.outcome],
    requests: result.requests,
    bytesDone: result.bytesDone,
    failedIova: failedIova === undefined ? null : u64FromBigint(failedIova),
    grant: grant === undefined ? null : grantOf(grant),
    elapsedNs: u64FromNumber(result.elapsedNs),
    grants: grants.map(grantOf),
    absentOwner: absentOwner ?? null,
  };
}

function grantOf(grant: NonNullable<DmaResult['grants']>[number]): Send<'Grant'> {
  const { address, bytes, access, untranslatedOnly = false, privileged = false, global = false, snooped = false } = grant;
  return { address: u64FromBigint(address), bytes: u64FromNumber(bytes), access, untranslatedOnly, privileged, global, snooped };
}

function ledgerEntry(entry: LedgerEntry): Send<'LedgerEntry'> {
  return {
    request: entry.request,
    operation: LEDGER_OPERATIONS.number[entry.operation],
    point: LEDGER_POINTS.number[entry.point],
    held: entry.held,
    iova: u64FromBigint(entry.iova),
    address: entry.address === undefined ? null : u64FromBigint(entry.address),
    bytes: entry.bytes,
    sinceNs: u64FromNumber(entry.sinceNs),
    epoch: entry.epoch,
    waitsFor: entry.waitsFor,
  };
}

function faultRecord(record: FaultRecord): Send<'FaultRecord'> {
  return {
    number: u64FromNumber(record.number),
    timeNs: u64FromNumber(record.timeNs),
    function: record.bdf,
    pasid: record.pasid === NO_PASID ? null : record.pasid,
    iova: u64FromBigint(record.iova),
    access: record.access,
    cause: OUTCOME.number[record.cause],
    text: record.text,
    stage: record.stage,
    privileged: record.privileged,
    execute: record.execute,
  };
}
