/** Which function carries out which command: a command without a row does not compile. */
import { ModelError, formatBdf, type Bdf } from '../base/index.ts';
import { deliver, invalidateComplete } from './ats/invalidation.ts';
import { pageFaultList, pageResponse } from './ats/page-faults.ts';
import { modelPageRequest, pageRequest } from './ats/page-request-commands.ts';
import { busRead, busWrite } from './bus/bus-access.ts';
import { callHold, callRelease, callsHeld } from './calls/call-holds.ts';
import { clockAdvance, clockGrant, clockHold, clockInfo, clockRelease } from './clock-commands.ts';
import type { Command, CommandKind } from './command.ts';
import { domainList, functionDetail, functionSummary, groupDetail, ledgerEntries, machineSummary, regionSummaries } from './describe.ts';
import { dirtyLogRead, dirtyLogSet, memoryDirty } from './dirty-log-commands.ts';
import { deviceDmaAtomic, deviceDmaRead, deviceDmaWrite, deviceTranslate, dmaRelease, modelDma } from './dma/dma-commands.ts';
import { dmaList } from './dma/dma-list.ts';
import { dirtyRead, dirtyTrackingSet } from './domains/dirty-commands.ts';
import { domainAlloc } from './domains/domain-alloc.ts';
import { domainInvalidate } from './domains/domain-invalidate.ts';
import { change, deferredAttach } from './domains/group-changes.ts';
import { ioasAlloc, ioasAllow, ioasCopy, ioasFree, ioasMap, ioasRanges, ioasUnmap } from './domains/ioas-commands.ts';
import { domainFree } from './domains/iommu-commands.ts';
import { map, unmap } from './domains/mappings.ts';
import { iovaToPhys } from './domains/table-lookups.ts';
import { unmappedRanges } from './domains/unmapped-ranges.ts';
import { reportBroken } from './errors/broken.ts';
import { errorRecover, errorReporting, errorVote } from './errors/recover.ts';
import { armedFaults, faultArm, faultDisarm } from './faults/fault-commands.ts';
import { functionPlug } from './hierarchy/plug.ts';
import { slotSignal } from './hierarchy/port-changes.ts';
import { functionUnplug } from './hierarchy/unplug.ts';
import { deviceInterrupt, irqRemapSet, irqSummaries, modelInterrupt } from './interrupts/interrupt-commands.ts';
import { memoryAlloc, memoryClaim, memoryFree, memoryRead, memoryRelease, memoryWrite } from './memory-commands.ts';
import type { PeerId } from './outgoing.ts';
import type { Parts } from './parts.ts';
import { configRead, regionRead, regionWrite } from './region-access.ts';
import { graceOver } from './remote/absence.ts';
import { deviceAlarmSet } from './remote/alarms.ts';
import { deviceClaim, deviceRelease } from './remote/claims.ts';
import { regionWriteMulti } from './remote/write-multi.ts';
import { done } from './reset/done.ts';
import { prepare } from './reset/prepare.ts';
import { busReset, coldReset, resetFunction, resetMethodsSet, resetProbe, resetTrigger } from './reset/reset-commands.ts';
import type { FunctionState, Origin } from './state.ts';
import { machineStatus } from './waiting.ts';

type Handler<K extends CommandKind> = (m: Parts, origin: Origin, command: Extract<Command, { kind: K }>, peer: PeerId) => void;
type Handlers = { readonly [K in CommandKind]: Handler<K> };

/** Carries the command out. ModelError for a malformed one, before anything has changed. */
export function handle(m: Parts, origin: Origin, command: Command, peer: PeerId): void {
  const handler = HANDLERS[command.kind] as Handler<CommandKind> | undefined;
  if (handler === undefined) throw new ModelError('ENOSYS', `unknown command "${String(command.kind)}"`, 'kind');
  handler(m, origin, command, peer);
}

function fnOf(m: Parts, bdf: Bdf): FunctionState {
  const fn = m.functions.get(bdf);
  if (fn === undefined) throw new ModelError('ENODEV', `no function at ${formatBdf(bdf)} in machine "${m.spec.name}"`, 'function');
  return fn;
}

/** The function, when `peer` is the one that plays it. */
function claimedFn(m: Parts, bdf: Bdf, peer: PeerId): FunctionState {
  const fn = fnOf(m, bdf);
  if (fn.claimedBy !== peer || peer === 0) throw new ModelError('EPERM', `${formatBdf(bdf)} is not claimed by this peer`, 'function');
  return fn;
}

const HANDLERS: Handlers = {
  'region-read': (m, origin, c) => regionRead(m, origin, fnOf(m, c.bdf), c),
  'config-read': (m, origin, c) => configRead(m, origin, fnOf(m, c.bdf), c),
  'region-write': (m, origin, c) => regionWrite(m, origin, fnOf(m, c.bdf), c),
  'region-write-multi': (m, origin, c) => regionWriteMulti(m, origin, fnOf(m, c.bdf), c),
  'bus-read': busRead,
  'bus-write': busWrite,
  'function-plug': functionPlug,
  'function-unplug': (m, origin, c) => functionUnplug(m, origin, fnOf(m, c.bdf), c),
  'machine-status': (m, origin) => m.outbox.reply(origin, { kind: 'machine-status', ...machineStatus(m) }),
  'domain-list': (m, origin) => m.outbox.reply(origin, { kind: 'domain-list', domains: domainList(m) }),
  'machine-info': (m, origin) => m.outbox.reply(origin, { kind: 'machine-info', ...machineSummary(m) }),
  'function-list': (m, origin) => m.outbox.reply(origin, { kind: 'function-list', functions: m.functionList.map(functionSummary) }),
  'function-info': (m, origin, c) => m.outbox.reply(origin, { kind: 'function-info', function: functionDetail(m, fnOf(m, c.bdf)) }),
  'function-regions': (m, origin, c) => m.outbox.reply(origin, { kind: 'function-regions', regions: regionSummaries(fnOf(m, c.bdf)) }),
  'group-info': (m, origin, c) => {
    const group = groupDetail(m, fnOf(m, c.bdf));
    if (group === undefined) throw new ModelError('EOPNOTSUPP', `machine "${m.spec.name}" has no IOMMU`);
    m.outbox.reply(origin, { kind: 'group-info', group });
  },
  'irq-info': (m, origin, c) => m.outbox.reply(origin, { kind: 'irq-info', irqs: irqSummaries(fnOf(m, c.bdf)) }),
  'model-interrupt': (m, origin, c) => modelInterrupt(m, origin, fnOf(m, c.bdf), c),
  'irq-remap-set': irqRemapSet,
  'domain-alloc': domainAlloc,
  'domain-free': domainFree,
  'domain-attach': change,
  'domain-detach': change,
  'pasid-attach': change,
  'pasid-detach': change,
  'deferred-attach': (m, origin, c) => deferredAttach(m, origin, c, fnOf(m, c.bdf)),
  'report-broken': (m, origin, c) => reportBroken(m, origin, fnOf(m, c.bdf), c),
  'owner-claim': change,
  'owner-release': change,
  'default-domain-set': change,
  map,
  unmap,
  'iova-to-phys': iovaToPhys,
  'unmapped-ranges': unmappedRanges,
  'ioas-alloc': ioasAlloc,
  'ioas-free': ioasFree,
  'ioas-map': ioasMap,
  'ioas-copy': ioasCopy,
  'ioas-unmap': ioasUnmap,
  'ioas-ranges': ioasRanges,
  'ioas-allow': ioasAllow,
  'domain-invalidate': domainInvalidate,
  'dirty-tracking-set': dirtyTrackingSet,
  'dirty-read': dirtyRead,
  'memory-alloc': memoryAlloc,
  'memory-free': memoryFree,
  'memory-read': memoryRead,
  'memory-write': memoryWrite,
  'dirty-log-set': dirtyLogSet,
  'dirty-log-read': dirtyLogRead,
  'reset-prepare': (m, origin, c) => prepare(m, origin, fnOf(m, c.bdf), c),
  'reset-trigger': (m, origin, c) => resetTrigger(m, origin, fnOf(m, c.bdf), c),
  'reset-done': (m, origin, c) => done(m, origin, fnOf(m, c.bdf), c),
  reset: (m, origin, c) => resetFunction(m, origin, fnOf(m, c.bdf), c),
  'reset-probe': (m, origin, c) => resetProbe(m, origin, fnOf(m, c.bdf), c),
  'reset-methods-set': (m, origin, c) => resetMethodsSet(m, origin, fnOf(m, c.bdf), c),
  'bus-reset': (m, origin, c) => busReset(m, origin, fnOf(m, c.bdf), c),
  'cold-reset': coldReset,
  'model-dma': (m, origin, c) => modelDma(m, origin, fnOf(m, c.bdf), c),
  'model-page-request': (m, origin, c) => modelPageRequest(m, origin, fnOf(m, c.bdf), c),
  'page-response': pageResponse,
  'page-faults': (m, origin) => m.outbox.reply(origin, { kind: 'page-faults', faults: pageFaultList(m) }),
  'dma-release': (m, origin, c) => dmaRelease(m, origin, fnOf(m, c.bdf), c),
  ledger: (m, origin, c) => m.outbox.reply(origin, { kind: 'ledger', entries: ledgerEntries(m, fnOf(m, c.bdf)) }),
  'fault-arm': faultArm,
  'fault-disarm': faultDisarm,
  'fault-list': (m, origin) => m.outbox.reply(origin, { kind: 'fault-list', faults: armedFaults(m) }),
  'slot-signal': (m, origin, c) => slotSignal(m, origin, fnOf(m, c.bdf), c),
  'error-vote': (m, origin, c) => errorVote(m, origin, fnOf(m, c.bdf), c),
  'error-recover': (m, origin, c) => errorRecover(m, origin, fnOf(m, c.bdf), c),
  'error-reporting': errorReporting,
  'fault-records': (m, origin) =>
    m.outbox.reply(origin, { kind: 'fault-records', records: m.faultQueue.records(), overflow: m.faultQueue.overflow }),
  'call-hold': callHold,
  'call-release': (m, origin, c) => {
    for (const invalidation of callRelease(m, origin, c)) deliver(m, invalidation);
  },
  'calls-held': callsHeld,
  'clock-info': clockInfo,
  'clock-advance': clockAdvance,
  'clock-hold': (m, origin, c, peer) => clockHold(m, origin, peer, c),
  'clock-grant': (m, origin, c, peer) => clockGrant(m, origin, peer, c),
  'clock-release': (m, origin, c, peer) => clockRelease(m, origin, peer, c),
  'trace-hash': (m, origin) => m.outbox.reply(origin, { kind: 'trace-hash', hash: m.hash.digest() }),
  'memory-claim': (m, origin, c, peer) => memoryClaim(m, origin, peer, c),
  'memory-dirty': (m, origin, c, peer) => memoryDirty(m, origin, peer, c),
  'memory-release': (m, origin, c, peer) => memoryRelease(m, origin, peer, c),
  'device-claim': (m, origin, c, peer) => deviceClaim(m, origin, peer, c),
  'grace-over': graceOver,
  'device-release': (m, origin, c, peer) => deviceRelease(m, origin, peer, fnOf(m, c.bdf), c),
  'dma-list': (m, origin, c, peer) => dmaList(m, origin, claimedFn(m, c.bdf, peer), c),
  'dma-read': (m, origin, c, peer) => deviceDmaRead(m, origin, claimedFn(m, c.bdf, peer), c),
  'dma-write': (m, origin, c, peer) => deviceDmaWrite(m, origin, claimedFn(m, c.bdf, peer), c),
  'dma-atomic': (m, origin, c, peer) => deviceDmaAtomic(m, origin, claimedFn(m, c.bdf, peer), c),
  'device-translate': (m, origin, c, peer) => deviceTranslate(m, origin, claimedFn(m, c.bdf, peer), c),
  'invalidate-complete': (m, origin, c, peer) => invalidateComplete(m, origin, claimedFn(m, c.bdf, peer), c),
  'device-alarm-set': (m, origin, c, peer) => deviceAlarmSet(m, origin, claimedFn(m, c.bdf, peer), c),
  'device-interrupt': (m, origin, c, peer) => deviceInterrupt(m, origin, claimedFn(m, c.bdf, peer), c),
  'page-request': (m, origin, c, peer) => pageRequest(m, origin, claimedFn(m, c.bdf, peer), c),
};
