// long: what each reply and event says, as a list
import { describe, expect, it } from 'vitest';
import { loadContract } from '../../../proto/contract-lock.mjs';
import { BODY, KIND, PacketWriter } from '../../../proto/index.ts';
import type { Command, MachineEvent, Reply } from '../../../server/src/core/machine/index.ts';
import { SERVED, type ServedCall } from '../../../server/src/rpc/decode.ts';
import { eventBody, eventNumber, replyBody, replyData, replyNumber, traceBody } from '../../../server/src/rpc/encode.ts';
import { EXAMPLES, EXAMPLE_NAMES } from './calls.ts';
import { replyTo } from './fake-machine.ts';

const Packet = loadContract('proto').lookupType('iommud.v1.Packet');

/** What an ordinary protobuf library reads of a frame: [name of the body, its fields, its data]. */
function asRead(kind: 1 | 2 | 3, number: number, body: object, data?: Uint8Array): [string, Record<string, unknown>, string | undefined] {
  const packets: Uint8Array[] = [];
  const writer = new PacketWriter((packet) => packets.push(packet));
  writer.add(1, kind, number, body, data);
  writer.flush();
  const object = Packet.toObject(Packet.decode(packets[0] ?? new Uint8Array()), { longs: String, enums: String, bytes: String });
  const { id: _id, kind: _kind, data: bytes, ...rest } = (object['frame'] as Record<string, unknown>[])[0] ?? {};
  const [name = '', fields] = Object.entries(rest)[0] ?? [];
  return [name, fields as Record<string, unknown>, bytes as string | undefined];
}

function replyAsRead(call: ServedCall, reply: Reply): ReturnType<typeof asRead> {
  return asRead(KIND.reply, replyNumber(BODY[call], reply), replyBody(reply), replyData(reply));
}

const ELAPSED = { elapsed_ns: '1' };
const DOMAIN = { domain: 9, type: 'DOMAIN_TYPE_PAGING', shared_address: true };
const SUMMARY = {
  function: 16,
  model: 'dma-probe',
  label: 'probe',
  config_bytes: 4096,
  vendor: 0x1234,
  device: 0x11e8,
  class_code: 0xff0000,
  ats_supported: true,
  blocked: true,
  reset_depth: 1,
  in_flight: 2,
  physical_function: 8,
  link_down: true,
};
const REPORT = {
  depth: 1,
  drained: 2,
  aborted: 3,
  indeterminate: 1,
  indeterminate_ranges: [{ address: '140737488359424', bytes: 64 }],
  completed: 4,
  timed_out: 5,
};
const DMA = { outcome: 'OUTCOME_NOT_PRESENT', requests: 2, bytes_done: 4096, failed_iova: '18446603336221200384', elapsed_ns: '17' };

const PAGE_FAULT = {
  number: 5,
  time_ns: '6',
  function: 16,
  pasid: 7,
  group: 511,
  domain: 9,
  ranges: [{ iova: '18446603336221200384', pages: 2, access: 7, privileged: true }],
};

/** What each call's reply says; calls that are not here say only how far the clock moved. */
const EXPECTED: Partial<Record<ServedCall, Record<string, unknown>>> = {
  regionRead: { value: '20018842566655' },
  busRead: { value: '2271560481' },
  machineInfo: {
    name: 'fake',
    seed: 4294967295,
    behaviour: 'strict',
    clock: 'auto',
    now_ns: '9007199254740991',
    functions: 3,
    iommu: true,
  },
  functionList: {
    functions: [
      { ...SUMMARY, group: 3 },
      { ...SUMMARY, secondary_bus: 1, gate_open: true },
    ],
  },
  functionInfo: {
    summary: { ...SUMMARY, group: 3 },
    bus_master: true,
    reset_methods: ['RESET_METHOD_FLR', 'RESET_METHOD_PM'],
    logical_domain: DOMAIN,
    pasids: [{ pasid: 5, logical_domain: DOMAIN }],
    windows: ['w'],
    armed_faults: ['FAULT_KIND_NEVER_READY'],
    itags: 2,
    attach_deferred: true,
    direct_regions: [{ address: '2130706432', bytes: '65536', relaxable: true }],
    reserved_regions: [{ address: '2130706432', bytes: '65536', type: 'direct-relaxable' }],
  },
  configRead: {},
  functionPlug: { functions: [256, 257], elapsed_ns: '100000000' },
  functionUnplug: { functions: [256], drained: 1, aborted: 2, completed: 3, timed_out: 4, elapsed_ns: '5' },
  functionRegions: {
    regions: [
      { kind: 'memory64', prefetchable: true, address: '240518168576', bytes: '4294967296' },
      { region: 6, kind: 'rom' },
    ],
  },
  irqInfo: {
    irqs: [
      { index: 'IRQ_INDEX_INTX', count: 1, granted: 1, maskable: true, pending: [0] },
      { index: 'IRQ_INDEX_MSI', count: 32, granted: 4 },
      { index: 'IRQ_INDEX_MSIX', count: 2048, granted: 2048, enabled: true, maskable: true, pending: [3, 2047] },
    ],
  },
  modelInterrupt: { outcome: 'INTERRUPT_OUTCOME_PENDING', elapsed_ns: '9007199254740991' },
  deviceInterrupt: { outcome: 'INTERRUPT_OUTCOME_IDLE', elapsed_ns: '1' },
  groupInfo: {
    group: 3,
    members: [16, 17],
    domain: DOMAIN,
    default_type: 'DEFAULT_DOMAIN_TYPE_DMA_FQ',
    recovery_count: 1,
    owned: true,
    busy: true,
    waiting: 2,
  },
  callHold: { hold: 3 },
  callsHeld: { calls: [{ id: 4, call: 'prepare', step: 'atc-sent', function: 16, hold: 3, since_ns: '5' }] },
  domainAlloc: { domain: 12 },
  ioasAlloc: { ioas: 6 },
  ioasMap: { iova: '4096' },
  ioasCopy: { iova: '8192', elapsed_ns: '1' },
  ioasUnmap: { bytes: '8192', timed_out: 1, elapsed_ns: '2' },
  ioasRanges: { ranges: [{ first: '4096', last: '18446744073709551615' }], count: 2, alignment: '4096', error: 90 },
  domainInvalidate: { processed: 2, error: 22, message: 'request 2', timed_out: 1, elapsed_ns: '4' },
  dmaMap: { iova: '4294963200', elapsed_ns: '3' },
  dmaUnmap: { bytes: '281474976710656', timed_out: 1, elapsed_ns: '1000000000' },
  dirtyTrackingSet: { timed_out: 2, elapsed_ns: '3' },
  dirtyRead: { timed_out: 1, elapsed_ns: '2' },
  memoryDirty: { logging: true },
  unmappedRanges: { ranges: [{ first: '4096', last: '8191' }], next_iova: '12288' },
  iovaToPhys: { mapped: true, address: '72057594037923840' },
  faultRecords: {
    records: [
      {
        number: '1',
        time_ns: '2',
        function: 16,
        iova: '18446744073709547520',
        access: 2,
        cause: 'OUTCOME_NOT_CANONICAL',
        text: '00:02.0 write 0xfffffffffffff000: not canonical',
        stage: 2,
        privileged: true,
        execute: true,
      },
    ],
    overflow: '4',
  },
  memoryAlloc: { address: '1048576', bytes: '8192' },
  memoryRead: {},
  dirtyLogRead: {},
  resetPrepare: { report: REPORT, elapsed_ns: '5' },
  resetDone: { skipped: true, warning: 'unbalanced', elapsed_ns: '6' },
  resetFunction: {
    method: 'RESET_METHOD_PM',
    pending_timed_out: true,
    warning: 'late',
    report: REPORT,
    elapsed_ns: '7',
    tried: [{ method: 'RESET_METHOD_FLR', error: 'ERROR_CODE_ENOTTY' }, { method: 'RESET_METHOD_PM' }],
  },
  resetProbe: { methods: ['RESET_METHOD_FLR', 'RESET_METHOD_BUS'], elapsed_ns: '8', warning: 'seen' },
  resetMethodsSet: { elapsed_ns: '9', warning: 'disabled' },
  busReset: { functions: [16, 24], report: REPORT, warning: 'w', elapsed_ns: '10' },
  coldReset: { elapsed_ns: '1' },
  dmaRead: { result: DMA },
  dmaWrite: { result: { outcome: 'OUTCOME_PERFORMED', requests: 2, bytes_done: 4096, elapsed_ns: '17' } },
  dmaAtomic: { result: DMA },
  deviceTranslate: {
    result: {
      ...DMA,
      grant: { address: '8192', bytes: '4096', access: 3, snooped: true },
      grants: [{ address: '8192', bytes: '4096', access: 3, snooped: true }],
    },
  },
  modelDma: {
    result: {
      ...DMA,
      grant: { address: '8192', bytes: '4096', access: 3, snooped: true },
      grants: [{ address: '8192', bytes: '4096', access: 3, snooped: true }],
    },
  },
  ledger: {
    entries: [
      {
        request: 1,
        operation: 'DMA_OPERATION_INVALIDATION_COMPLETION',
        point: 'REQUEST_POINT_INDETERMINATE',
        held: true,
        iova: '4096',
        bytes: 64,
        since_ns: '3',
        epoch: 2,
        waits_for: 'its owner',
      },
    ],
  },
  modelPageRequest: { answer: 'PAGE_ANSWER_NOT_SENT', group: 511, elapsed_ns: '8' },
  pageRequest: { answer: 'PAGE_ANSWER_FORGOTTEN', group: 3, elapsed_ns: '9' },
  deviceClaim: { elapsed_ns: '7', function: 0x20, restarted: true },
  errorRecover: {
    recovered: true,
    status: 'VOTE_RECOVERED',
    reset: 'RECOVERY_RESET_BUS',
    affected: [16],
    warning: 'late',
    elapsed_ns: '3',
  },
  faultArm: { armed: 9, elapsed_ns: '1' },
  faultList: {
    faults: [
      {
        armed: 9,
        fault: 'FAULT_KIND_MEMORY_ERRORS',
        function: 16,
        address: '1099511623680',
        bytes: '4096',
        error: 'MEMORY_ERROR_POISONED',
        passes: 1,
        acted: 2,
        left: 3,
        point: 'REQUEST_POINT_TRANSLATED',
        delay_ns: '4',
        from_ns: '5',
        until_ns: '6',
        in_force: true,
        hosts: true,
        text: 'memory errs',
      },
    ],
  },
  pageFaults: { faults: [PAGE_FAULT] },
  clockInfo: { now_ns: '11' },
  clockAdvance: { now_ns: '22', moved_ns: '11' },
  clockHold: { now_ns: '11' },
  clockGrant: { now_ns: '22', moved_ns: '11' },
  clockRelease: { now_ns: '11' },
  traceHash: { hash: '0123456789abcdef' },
};

const DATA: Partial<Record<ServedCall, string>> = {
  configRead: 'AQIDBAUGBwg=',
  memoryRead: 'AQID',
  dmaRead: 'CQg=',
  dmaAtomic: 'CQg=',
  dirtyRead: 'gQ==',
  dirtyLogRead: 'gg==',
  deviceClaim: 'NBI=',
};

describe('replies', () => {
  it.each(EXAMPLE_NAMES)('of %s are in its own reply message', (name) => {
    const reply = replyTo(EXAMPLES[name].command as unknown as Command);
    expect(replyAsRead(name, reply)).toEqual([`${SERVED[BODY[name]]?.name}_reply`, EXPECTED[name] ?? ELAPSED, DATA[name]]);
  });

  it('that refuse are errors, whatever the call', () => {
    const refused: Reply = { kind: 'refused', code: 'EBUSY', message: 'a window is open', about: '00:02.0', elapsedNs: 9 };
    const error = { code: 16, name: 'EBUSY', message: 'a window is open', about: '00:02.0', elapsed_ns: '9' };
    expect(replyAsRead('domainAttach', refused)).toEqual(['error', error, undefined]);
    expect(replyAsRead('dmaRead', refused)).toEqual(['error', error, undefined]);
  });
});

describe('events', () => {
  const said = (event: MachineEvent): unknown => asRead(KIND.event, eventNumber(event), eventBody(event)).slice(0, 2);

  it('have a message each', () => {
    const fault = { number: 7, timeNs: 8, bdf: 16, pasid: 5, iova: 0n, access: 3, cause: 'too-wide', text: 't' };
    expect(said({ kind: 'fault', ...fault } as unknown as MachineEvent)).toEqual([
      'fault_event',
      { record: { number: '7', time_ns: '8', function: 16, pasid: 5, access: 3, cause: 'OUTCOME_TOO_WIDE', text: 't' } },
    ]);
    const interrupt = { kind: 'interrupt', bdf: 16, address: 0xfee0_0000n, data: 0x41, count: 2, timeNs: 3 };
    expect(said(interrupt as unknown as MachineEvent)).toEqual([
      'interrupt_event',
      { function: 16, address: '4276092928', data: 65, count: 2, time_ns: '3' },
    ]);
    const remapped = { index: 65_535, vector: 255, destination: 0xffff_ffff };
    expect(said({ ...interrupt, source: 0, remapped } as unknown as MachineEvent)).toEqual([
      'interrupt_event',
      { function: 16, address: '4276092928', data: 65, count: 2, time_ns: '3', source_vector: 0, remapped },
    ]);
    const intx = { kind: 'intx', bdf: 17, pin: 2, asserted: true, line: { device: 16, pin: 3 }, sources: 2, timeNs: 9 };
    expect(said(intx as unknown as MachineEvent)).toEqual([
      'intx_event',
      { function: 17, pin: 2, asserted: true, line_device: 16, line_pin: 3, line_sources: 2, time_ns: '9' },
    ]);
    expect(said({ kind: 'window', bdf: 16, open: true, depth: 1, timeNs: 4 } as unknown as MachineEvent)).toEqual([
      'window_event',
      { function: 16, open: true, depth: 1, time_ns: '4' },
    ]);
    const come = { kind: 'hotplug', port: 0xe0, bdf: 256, present: true, reason: 'plugged', timeNs: 6 };
    expect(said(come as unknown as MachineEvent)).toEqual([
      'hotplug_event',
      { function: 256, port: 224, present: true, reason: 'plugged', time_ns: '6' },
    ]);
    const gone = { kind: 'hotplug', port: undefined, bdf: 16, present: false, reason: 'surprise', timeNs: 7 };
    expect(said(gone as unknown as MachineEvent)).toEqual(['hotplug_event', { function: 16, reason: 'surprise', time_ns: '7' }]);
    expect(said({ kind: 'memory', address: 0x8000_0000n, bytes: 4096n, change: 'absent', peer: 2, timeNs: 8 })).toEqual([
      'memory_event',
      { address: '2147483648', bytes: '4096', change: 'absent', peer: 2, time_ns: '8' },
    ]);
    expect(said({ kind: 'log', level: 'warn', bdf: undefined, text: 'x', timeNs: 5 })).toEqual([
      'log_event',
      { level: 'LOG_LEVEL_WARN', text: 'x', time_ns: '5' },
    ]);
    expect(said({ kind: 'log', level: 'info', bdf: 0, text: 'x', timeNs: 0 } as unknown as MachineEvent)).toEqual([
      'log_event',
      { level: 'LOG_LEVEL_INFO', function: 0, text: 'x' },
    ]);
  });

  it('of the trace keep negative and large integers exact', () => {
    const body = traceBody({ kind: 'dma-issued', timeNs: 6, a: 16, b: -1, c: 2 ** 52, d: 0 });
    expect(asRead(KIND.event, BODY.traceEvent, body).slice(0, 2)).toEqual([
      'trace_event',
      { kind: 1, name: 'dma-issued', time_ns: '6', a: '16', b: '-1', c: '4503599627370496' },
    ]);
  });
});

it('every field that a reply sends is one of its message', () => {
  // toEqual above would not see a field that encode ignores. ClockInfo shares its reply with ClockAdvance.
  for (const name of EXAMPLE_NAMES.filter((call) => !['clockInfo', 'clockHold', 'clockRelease'].includes(call))) {
    const reply = replyTo(EXAMPLES[name].command as unknown as Command);
    const type = Packet.root.lookupType(`iommud.v1.${name[0]?.toUpperCase()}${name.slice(1)}Reply`);
    const known = new Set(['kind', ...type.fieldsArray.map((field) => field.name.replaceAll('_', ''))]);
    const unknown = Object.keys(replyBody(reply)).filter((key) => !known.has(key.toLowerCase()));
    expect([name, unknown]).toEqual([name, []]);
  }
});
