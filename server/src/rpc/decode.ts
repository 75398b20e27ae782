// long: one table, read as a list
import { BODY, type CallName, type Calls } from '../../../proto/index.ts';
import { COMPLETIONS_MAX, MEMORY_DEPTH, MEMORY_DEPTH_MAX, PLUG_CHARS_MAX, TRANSLATIONS_MAX } from '../../../proto/limits.ts';
/**
 * Calls of the wire to commands of the machine: the one place that knows both. Parsing ends here: what a command holds is complete and of the
 * right type; whether it makes sense is the machine's to say.
 */
import type { CallName as SteppedCallName, Command, CommandKind, StepName } from '../core/machine/index.ts';
import { DEVICE_ROWS } from './decode-devices.ts';
import { PAGE_ROWS } from './decode-pages.ts';
import { RESET_ROWS } from './decode-resets.ts';
import { tablesOf, targetOf } from './domain-fields.ts';
import {
  CALLBACKS_OF_ERRORS,
  DEFAULT_DOMAIN_TYPES,
  DOMAIN_TYPES,
  FAULTS,
  INVALIDATE_TYPES,
  MEMORY_ERROR,
  ON_FAULT,
  OPERATIONS,
  POINTS,
  SLOT_SIGNAL,
  SPACES,
  VOTE,
  type RoleName,
} from './enums.ts';
import {
  needBigint,
  needBoolean,
  needCount,
  needData,
  needFunction,
  needHalves,
  needNumber,
  needPasid,
  needText,
  needTransfer,
  needUint32,
  needWord,
  optionalNumber,
  optionalPasid,
  optionalWord,
} from './fields.ts';
import { interruptOf, remapEntryOf } from './interrupt-fields.ts';
import { attachedTo, rangesOf, requestsOf, unmapRange } from './ioas-fields.ts';

/** Calls that the session answers itself, and those that only the server makes. */
type NotForMachine = 'hello' | 'subscribe' | 'memoryFence' | 'deviceReset' | 'deviceInvalidate' | 'deviceAlarm';
export type ServedCall = Exclude<CallName, NotForMachine>;

interface Row<Name extends ServedCall> {
  /** Any one of them is enough. */
  readonly roles: readonly RoleName[];
  readonly decode: (body: Calls[Name]['decoded'], data: Uint8Array | undefined) => Command;
}

const HOST = ['host'] as const;
const HOST_OR_OBSERVER = ['host', 'observer'] as const;
const DEVICE = ['device'] as const;
const MEMORY = ['memory'] as const;
const ALL_BUT_OBSERVER = ['host', 'device', 'memory'] as const;
const ANY = ['host', 'device', 'memory', 'observer'] as const;

/** Every call that a machine serves; one without a row does not compile. */
const ROWS = {
  regionRead: {
    roles: HOST,
    decode: (b) => ({
      kind: 'region-read',
      bdf: needFunction(b.function),
      region: needUint32(b.region, 'region'),
      offset: needNumber(b.offset, 'offset'),
      bytes: needUint32(b.bytes, 'bytes'),
    }),
  },
  configRead: {
    roles: HOST,
    decode: (b) => ({
      kind: 'config-read',
      bdf: needFunction(b.function),
      offset: needUint32(b.offset, 'offset'),
      bytes: needUint32(b.bytes, 'bytes'),
    }),
  },
  regionWrite: {
    roles: HOST,
    decode: (b) => {
      const value = needHalves(b.value, 'value');
      return {
        kind: 'region-write',
        bdf: needFunction(b.function),
        region: needUint32(b.region, 'region'),
        offset: needNumber(b.offset, 'offset'),
        bytes: needUint32(b.bytes, 'bytes'),
        valueLow: value.low,
        valueHigh: value.high,
      };
    },
  },
  busRead: {
    roles: HOST,
    decode: (b) => ({
      kind: 'bus-read',
      space: needWord(b.space, 'space', SPACES),
      address: needBigint(b.address, 'address'),
      bytes: needUint32(b.bytes, 'bytes'),
    }),
  },
  busWrite: {
    roles: HOST,
    decode: (b) => {
      const value = needHalves(b.value, 'value');
      return {
        kind: 'bus-write',
        space: needWord(b.space, 'space', SPACES),
        address: needBigint(b.address, 'address'),
        bytes: needUint32(b.bytes, 'bytes'),
        valueLow: value.low,
        valueHigh: value.high,
      };
    },
  },
  machineInfo: { roles: ANY, decode: () => ({ kind: 'machine-info' }) },
  functionList: { roles: ANY, decode: () => ({ kind: 'function-list' }) },
  functionInfo: { roles: ANY, decode: (b) => ({ kind: 'function-info', bdf: needFunction(b.function) }) },
  functionRegions: { roles: ANY, decode: (b) => ({ kind: 'function-regions', bdf: needFunction(b.function) }) },
  functionPlug: {
    roles: HOST,
    decode: (b) => ({
      kind: 'function-plug',
      port: b.port === null ? undefined : needFunction(b.port),
      functions: needText(b.topology, 'topology', PLUG_CHARS_MAX),
    }),
  },
  functionUnplug: {
    roles: HOST,
    decode: (b) => ({
      kind: 'function-unplug',
      bdf: needFunction(b.function),
      surprise: b.surprise ?? false,
      deadlineNs: optionalNumber(b.deadlineNs, 'deadline_ns'),
    }),
  },
  irqInfo: { roles: ANY, decode: (b) => ({ kind: 'irq-info', bdf: needFunction(b.function) }) },
  modelInterrupt: { roles: HOST, decode: (b) => ({ kind: 'model-interrupt', ...interruptOf(b) }) },
  deviceInterrupt: { roles: DEVICE, decode: (b) => ({ kind: 'device-interrupt', ...interruptOf(b) }) },
  irqRemapSet: { roles: HOST, decode: (b) => ({ kind: 'irq-remap-set', index: needUint32(b.index, 'index'), entry: remapEntryOf(b) }) },

  groupInfo: { roles: HOST_OR_OBSERVER, decode: (b) => ({ kind: 'group-info', bdf: needFunction(b.function) }) },
  domainAlloc: {
    roles: HOST,
    decode: (b) => ({
      kind: 'domain-alloc',
      type: needWord(b.type, 'type', DOMAIN_TYPES),
      sharedAddress: b.sharedAddress ?? false,
      ...tablesOf(b),
      ...(b.faults === null ? {} : { faults: b.faults }),
    }),
  },
  domainFree: { roles: HOST, decode: (b) => ({ kind: 'domain-free', domain: needUint32(b.domain, 'domain') }) },
  domainAttach: {
    roles: HOST,
    decode: (b) => ({ kind: 'domain-attach', bdf: needFunction(b.function), ...attachedTo(b) }),
  },
  domainDetach: { roles: HOST, decode: (b) => ({ kind: 'domain-detach', bdf: needFunction(b.function) }) },
  pasidAttach: {
    roles: HOST,
    decode: (b) => ({
      kind: 'pasid-attach',
      bdf: needFunction(b.function),
      pasid: needPasid(b.pasid),
      ...attachedTo(b),
      replace: b.replace ?? false,
    }),
  },
  pasidDetach: { roles: HOST, decode: (b) => ({ kind: 'pasid-detach', bdf: needFunction(b.function), pasid: needPasid(b.pasid) }) },
  deferredAttach: { roles: HOST, decode: (b) => ({ kind: 'deferred-attach', bdf: needFunction(b.function) }) },
  reportBroken: { roles: HOST, decode: (b) => ({ kind: 'report-broken', bdf: needFunction(b.function) }) },
  ownerClaim: { roles: HOST, decode: (b) => ({ kind: 'owner-claim', bdf: needFunction(b.function) }) },
  ownerRelease: { roles: HOST, decode: (b) => ({ kind: 'owner-release', bdf: needFunction(b.function) }) },
  defaultDomainSet: {
    roles: HOST,
    decode: (b) => ({ kind: 'default-domain-set', bdf: needFunction(b.function), type: needWord(b.type, 'type', DEFAULT_DOMAIN_TYPES) }),
  },
  dmaMap: {
    roles: HOST,
    decode: (b) => ({
      kind: 'map',
      target: targetOf(b),
      iova: b.iova === null ? undefined : needBigint(b.iova, 'iova'),
      address: needBigint(b.address, 'address'),
      bytes: needBigint(b.bytes, 'bytes'),
      access: needCount(b.access, 'access', 7),
    }),
  },
  dmaUnmap: {
    roles: HOST,
    decode: (b) => ({ kind: 'unmap', target: targetOf(b), iova: needBigint(b.iova, 'iova'), bytes: needBigint(b.bytes, 'bytes') }),
  },
  iovaToPhys: { roles: HOST_OR_OBSERVER, decode: (b) => ({ kind: 'iova-to-phys', target: targetOf(b), iova: needBigint(b.iova, 'iova') }) },
  unmappedRanges: {
    roles: HOST_OR_OBSERVER,
    decode: (b) => ({
      kind: 'unmapped-ranges',
      target: targetOf(b),
      iova: needBigint(b.iova, 'iova'),
      bytes: needBigint(b.bytes, 'bytes'),
    }),
  },
  dirtyTrackingSet: {
    roles: HOST,
    decode: (b) => ({ kind: 'dirty-tracking-set', target: targetOf(b), on: needBoolean(b.on, 'on') }),
  },
  dirtyRead: {
    roles: HOST,
    decode: (b) => ({
      kind: 'dirty-read',
      target: targetOf(b),
      iova: needBigint(b.iova, 'iova'),
      bytes: needBigint(b.bytes, 'bytes'),
      pageBytes: needBigint(b.pageBytes, 'page_bytes'),
      clear: !(b.noClear ?? false),
    }),
  },
  ioasAlloc: { roles: HOST, decode: () => ({ kind: 'ioas-alloc' }) },
  ioasFree: { roles: HOST, decode: (b) => ({ kind: 'ioas-free', ioas: needUint32(b.ioas, 'ioas') }) },
  ioasMap: {
    roles: HOST,
    decode: (b) => ({
      kind: 'ioas-map',
      ioas: needUint32(b.ioas, 'ioas'),
      iova: b.iova === null ? undefined : needBigint(b.iova, 'iova'),
      address: needBigint(b.address, 'address'),
      bytes: needBigint(b.bytes, 'bytes'),
      access: needCount(b.access, 'access', 7),
    }),
  },
  ioasCopy: {
    roles: HOST,
    decode: (b) => ({
      kind: 'ioas-copy',
      from: needUint32(b.from, 'from'),
      fromIova: needBigint(b.fromIova, 'from_iova'),
      ioas: needUint32(b.ioas, 'ioas'),
      iova: b.iova === null ? undefined : needBigint(b.iova, 'iova'),
      bytes: needBigint(b.bytes, 'bytes'),
      access: needCount(b.access, 'access', 7),
    }),
  },
  ioasUnmap: { roles: HOST, decode: (b) => ({ kind: 'ioas-unmap', ioas: needUint32(b.ioas, 'ioas'), ...unmapRange(b) }) },
  ioasRanges: {
    roles: HOST_OR_OBSERVER,
    decode: (b) => ({
      kind: 'ioas-ranges',
      ioas: needUint32(b.ioas, 'ioas'),
      unmapped: b.unmapped ?? false,
      ...(b.max === null ? {} : { max: b.max }),
    }),
  },
  ioasAllow: { roles: HOST, decode: (b) => ({ kind: 'ioas-allow', ioas: needUint32(b.ioas, 'ioas'), ranges: rangesOf(b) }) },
  domainInvalidate: {
    roles: HOST,
    decode: (b) => ({
      kind: 'domain-invalidate',
      domain: needUint32(b.domain, 'domain'),
      type: needWord(b.type, 'type', INVALIDATE_TYPES),
      requests: requestsOf(b),
    }),
  },
  faultRecords: { roles: HOST_OR_OBSERVER, decode: () => ({ kind: 'fault-records' }) },

  memoryAlloc: { roles: HOST, decode: (b) => ({ kind: 'memory-alloc', bytes: needBigint(b.bytes, 'bytes') }) },
  memoryFree: { roles: HOST, decode: (b) => ({ kind: 'memory-free', address: needBigint(b.address, 'address') }) },
  memoryRead: {
    roles: HOST,
    decode: (b) => ({ kind: 'memory-read', address: needBigint(b.address, 'address'), bytes: needTransfer(b.bytes) }),
  },
  memoryWrite: {
    roles: HOST,
    decode: (b, data) => ({ kind: 'memory-write', address: needBigint(b.address, 'address'), data: needData(data) }),
  },
  memoryClaim: {
    roles: MEMORY,
    decode: (b) => ({
      kind: 'memory-claim',
      address: needBigint(b.address, 'address'),
      bytes: needBigint(b.bytes, 'bytes'),
      depth: b.depth === null ? MEMORY_DEPTH : needCount(b.depth, 'depth', MEMORY_DEPTH_MAX),
    }),
  },
  memoryDirty: { roles: MEMORY, decode: (b) => ({ kind: 'memory-dirty', ranges: dirtyRanges(b) }) },
  dirtyLogSet: { roles: HOST, decode: (b) => ({ kind: 'dirty-log-set', on: needBoolean(b.on, 'on') }) },
  dirtyLogRead: {
    roles: HOST,
    decode: (b) => ({
      kind: 'dirty-log-read',
      address: needBigint(b.address, 'address'),
      bytes: needBigint(b.bytes, 'bytes'),
      pageBytes: needBigint(b.pageBytes, 'page_bytes'),
      clear: !(b.noClear ?? false),
    }),
  },
  memoryRelease: { roles: MEMORY, decode: (b) => ({ kind: 'memory-release', address: needBigint(b.address, 'address') }) },

  dmaRead: {
    roles: DEVICE,
    decode: (b) => {
      const iova = needHalves(b.iova, 'iova');
      return {
        kind: 'dma-read',
        bdf: needFunction(b.function),
        iovaLow: iova.low,
        iovaHigh: iova.high,
        bytes: needTransfer(b.bytes),
        pasid: optionalPasid(b.pasid),
        ...(b.translated === null ? {} : { translated: b.translated }),
        ...(b.privileged === null ? {} : { privileged: b.privileged }),
        ...(b.execute === null ? {} : { execute: b.execute }),
      };
    },
  },
  dmaWrite: {
    roles: DEVICE,
    decode: (b, data) => {
      const iova = needHalves(b.iova, 'iova');
      return {
        kind: 'dma-write',
        bdf: needFunction(b.function),
        iovaLow: iova.low,
        iovaHigh: iova.high,
        data: needData(data),
        pasid: optionalPasid(b.pasid),
        ...(b.translated === null ? {} : { translated: b.translated }),
        ...(b.privileged === null ? {} : { privileged: b.privileged }),
      };
    },
  },
  deviceTranslate: {
    roles: DEVICE,
    decode: (b) => {
      const iova = needHalves(b.iova, 'iova');
      return {
        kind: 'device-translate',
        bdf: needFunction(b.function),
        iovaLow: iova.low,
        iovaHigh: iova.high,
        pasid: optionalPasid(b.pasid),
        write: b.write ?? false,
        privileged: b.privileged ?? false,
        execute: b.execute ?? false,
        translations: b.translations === null ? 1 : needCount(b.translations, 'translations', TRANSLATIONS_MAX),
      };
    },
  },
  invalidateComplete: {
    roles: DEVICE,
    decode: (b) => ({
      kind: 'invalidate-complete',
      bdf: needFunction(b.function),
      itags: needUint32(b.itags, 'itags'),
      completions: b.completions === null ? 1 : needCount(b.completions, 'completions', COMPLETIONS_MAX),
    }),
  },
  modelDma: {
    roles: HOST,
    decode: (b, data) => {
      const iova = needHalves(b.iova, 'iova');
      return {
        kind: 'model-dma',
        bdf: needFunction(b.function),
        operation: needWord(b.operation, 'operation', OPERATIONS),
        iovaLow: iova.low,
        iovaHigh: iova.high,
        bytes: needTransfer(b.bytes),
        data,
        pasid: optionalPasid(b.pasid),
        translated: b.translated ?? false,
        ...(b.privileged === null ? {} : { privileged: b.privileged }),
        ...(b.execute === null ? {} : { execute: b.execute }),
        ...(b.write === null ? {} : { write: b.write }),
        ...(b.translations === null ? {} : { translations: needCount(b.translations, 'translations', TRANSLATIONS_MAX) }),
        hold: optionalWord(b.hold, 'hold', POINTS),
        holdNs: optionalNumber(b.holdNs, 'hold_ns'),
        ...(b.onFault === null ? {} : { onFault: needWord(b.onFault, 'on_fault', ON_FAULT) }),
      };
    },
  },
  dmaRelease: { roles: HOST, decode: (b) => ({ kind: 'dma-release', bdf: needFunction(b.function), request: b.request ?? 0 }) },
  ledger: { roles: HOST_OR_OBSERVER, decode: (b) => ({ kind: 'ledger', bdf: needFunction(b.function) }) },
  faultArm: {
    roles: HOST,
    decode: (b) => ({
      kind: 'fault-arm',
      // A fault of memory is of a range, and of a function only where one is named.
      bdf: b.function === null && b.address !== null ? undefined : needFunction(b.function),
      fault: needWord(b.fault, 'fault', FAULTS),
      first: b.first ?? 1,
      count: b.count ?? 1,
      point: optionalWord(b.point, 'point', POINTS),
      delayNs: optionalNumber(b.delayNs, 'delay_ns'),
      ...(b.fromNs === null ? {} : { fromNs: needNumber(b.fromNs, 'from_ns') }),
      ...(b.untilNs === null ? {} : { untilNs: needNumber(b.untilNs, 'until_ns') }),
      ...(b.address === null ? {} : { range: { address: needBigint(b.address, 'address'), bytes: needBigint(b.bytes, 'bytes') } }),
      ...(b.error === null ? {} : { error: needWord(b.error, 'error', MEMORY_ERROR) }),
      ...(b.hosts === null ? {} : { hosts: b.hosts }),
    }),
  },
  faultDisarm: {
    roles: HOST,
    decode: (b) =>
      b.armed === null
        ? { kind: 'fault-disarm', bdf: needFunction(b.function), fault: needWord(b.fault, 'fault', FAULTS) }
        : { kind: 'fault-disarm', armed: b.armed },
  },
  slotSignal: {
    roles: HOST,
    decode: (b) => ({ kind: 'slot-signal', bdf: needFunction(b.function), signal: needWord(b.signal, 'signal', SLOT_SIGNAL) }),
  },
  errorVote: {
    roles: HOST,
    decode: (b) => ({
      kind: 'error-vote',
      bdf: needFunction(b.function),
      callback: needWord(b.callback, 'callback', CALLBACKS_OF_ERRORS),
      vote: needWord(b.vote, 'vote', VOTE),
    }),
  },
  errorRecover: { roles: HOST, decode: (b) => ({ kind: 'error-recover', bdf: needFunction(b.function), frozen: b.frozen ?? false }) },
  errorReporting: { roles: HOST, decode: () => ({ kind: 'error-reporting' }) },
  faultList: { roles: HOST_OR_OBSERVER, decode: () => ({ kind: 'fault-list' }) },

  callHold: {
    roles: HOST,
    decode: (b) => ({
      kind: 'call-hold',
      call: (b.call ?? '') as SteppedCallName | '',
      step: (b.step ?? '') as StepName | '',
      bdf: b.function === null ? undefined : needFunction(b.function),
      count: b.count ?? 0,
    }),
  },
  callRelease: {
    roles: HOST,
    decode: (b) => ({ kind: 'call-release', hold: needUint32(b.hold, 'hold'), stopped: b.stopped ?? 0, keep: b.keep ?? false }),
  },
  callsHeld: { roles: HOST_OR_OBSERVER, decode: () => ({ kind: 'calls-held' }) },
  ...DEVICE_ROWS,
  ...PAGE_ROWS,
  ...RESET_ROWS,

  clockInfo: { roles: ANY, decode: () => ({ kind: 'clock-info' }) },
  clockAdvance: { roles: HOST, decode: (b) => ({ kind: 'clock-advance', ns: needNumber(b.ns, 'ns'), force: b.force ?? false }) },
  clockHold: { roles: ALL_BUT_OBSERVER, decode: () => ({ kind: 'clock-hold' }) },
  clockGrant: { roles: ALL_BUT_OBSERVER, decode: (b) => ({ kind: 'clock-grant', ns: needNumber(b.ns, 'ns') }) },
  clockRelease: { roles: ALL_BUT_OBSERVER, decode: () => ({ kind: 'clock-release' }) },
  traceHash: { roles: HOST_OR_OBSERVER, decode: () => ({ kind: 'trace-hash' }) },
} satisfies { readonly [Name in ServedCall]: Row<Name> };

/** The machine counts them, and makes no more of a list that is too long. */
function dirtyRanges({ ranges }: Calls['memoryDirty']['decoded']): Extract<Command, { kind: 'memory-dirty' }>['ranges'] {
  return ranges.map((range) => ({ address: needBigint(range.address, 'ranges'), bytes: needBigint(range.bytes, 'ranges') }));
}

/** The embedding program's own. */
type NoCall = 'grace-over' | 'machine-status' | 'domain-list';
type Unreachable = Exclude<CommandKind, NoCall | ReturnType<(typeof ROWS)[ServedCall]['decode']>['kind']>;
/** Does not compile when the machine has a command that no call becomes. */
export type EveryCommandHasItsCall = Must<[Unreachable] extends [never] ? true : Unreachable>;
type Must<T extends true> = T;

/** One call that a machine serves. */
export interface ServedRow {
  /** Its name in frame.proto. */
  readonly name: string;
  readonly roles: readonly RoleName[];
  /** Throws {@link ModelError} EINVAL naming the field that is missing or cannot be. `data` is kept by the command, not copied. */
  readonly decode: (body: object, data: Uint8Array | undefined) => Command;
}

/** Body number of the request → its row; undefined for what a machine does not serve. */
export const SERVED: readonly (ServedRow | undefined)[] = byNumber();

function byNumber(): (ServedRow | undefined)[] {
  const names = Object.keys(ROWS) as ServedCall[];
  const rows: (ServedRow | undefined)[] = Array.from({ length: Math.max(...names.map((name) => BODY[name])) + 1 }, () => undefined);
  for (const name of names) {
    const { roles, decode } = ROWS[name];
    // CODECS gives each body number the message whose row this is.
    rows[BODY[name]] = { name: snake(name), roles, decode: decode as ServedRow['decode'] };
  }
  return rows;
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
