import { describe, expect, it } from 'vitest';
import { loadContract } from '../../../proto/contract-lock.mjs';
import { BODY, KIND, PacketReader, PacketWriter } from '../../../proto/index.ts';
import { SERVED, type ServedCall } from '../../../server/src/rpc/decode.ts';
import { EXAMPLES, EXAMPLE_NAMES } from './calls.ts';

const root = loadContract('proto');

/** What the wire makes of a call: written, read, decoded. */
function decoded(name: ServedCall, body: object, data?: Uint8Array): unknown {
  const packets: Uint8Array[] = [];
  const writer = new PacketWriter((packet) => packets.push(packet));
  writer.add(1, KIND.call, BODY[name], body, data);
  writer.flush();
  const reader = new PacketReader(packets[0] ?? new Uint8Array());
  reader.next();
  return SERVED[reader.number]?.decode(reader.body ?? {}, reader.data);
}

function einval(field: string): unknown {
  return expect.objectContaining({ code: 'EINVAL', field, message: expect.stringContaining(field) as unknown });
}

function camel(name: string): string {
  return name.replace(/_(\w)/g, (_all, letter: string) => letter.toUpperCase());
}

function fieldsOf(name: ServedCall): string[] {
  const type = root.lookupType(`iommud.v1.${name[0]?.toUpperCase()}${name.slice(1)}`);
  return type.fieldsArray.map((field) => field.name);
}

describe('the table of calls', () => {
  it('has a row and an example for every call of the contract but those that no machine serves', () => {
    const elsewhere: readonly number[] = [
      BODY.hello,
      BODY.subscribe,
      BODY.memoryFence,
      BODY.deviceReset,
      BODY.deviceInvalidate,
      BODY.deviceAlarm,
    ];
    const calls = Object.values(BODY).filter((number) => number > 16 && number < 1024 && number % 2 === 0 && !elsewhere.includes(number));
    const rows = SERVED.flatMap((row, number) => (row === undefined ? [] : [number]));
    expect(rows).toEqual(calls);
    expect(EXAMPLE_NAMES.map((name) => BODY[name]).toSorted((a, b) => a - b)).toEqual(calls);
  });

  it.each(EXAMPLE_NAMES)('%s becomes its command', (name) => {
    const { body, data, command } = EXAMPLES[name];
    expect(decoded(name, body, data)).toEqual(command);
    expect(SERVED[BODY[name]]?.name.replaceAll('_', '')).toBe(name.toLowerCase());
  });

  it.each(EXAMPLE_NAMES)('%s without a field that it needs is EINVAL naming it, and without another is a command', (name) => {
    const { body, data, needs } = EXAMPLES[name];
    for (const field of fieldsOf(name)) {
      const rest = Object.fromEntries(Object.entries(body).filter(([key]) => key !== camel(field)));
      if (needs.includes(field)) expect(() => decoded(name, rest, data)).toThrow(einval(field));
      else expect(decoded(name, rest, data)).toMatchObject({ kind: EXAMPLES[name].command['kind'] });
    }
    if (needs.includes('data')) {
      expect(() => decoded(name, body)).toThrow(einval('data'));
      expect(() => decoded(name, body, new Uint8Array(0))).toThrow(einval('data'));
    }
  });

  it('gives a needless field its default', () => {
    const at = { function: 0x10 };
    expect(decoded('domainAlloc', { type: 1 })).toMatchObject({ sharedAddress: false });
    expect(decoded('pasidAttach', { ...at, pasid: 1, domain: 1 })).toMatchObject({ replace: false });
    expect(decoded('memoryClaim', { address: half(0), bytes: half(4096) })).toMatchObject({ depth: 16 });
    expect(decoded('resetPrepare', { ...at, token: 'x', deadlineNs: half(0) })).toMatchObject({ onDeadline: 'abort' });
    expect(decoded('resetFunction', { ...at, method: 1, deadlineNs: half(0) })).toMatchObject({ onDeadline: 'abort', window: true });
    expect(decoded('resetFunction', { ...at, deadlineNs: half(0) })).toMatchObject({ method: undefined });
    expect(decoded('resetTrigger', at)).toMatchObject({ method: undefined });
    expect(decoded('resetMethodsSet', { ...at, methods: '' })).toMatchObject({ methods: '' });
    expect(decoded('busReset', at)).toMatchObject({ slot: false, tryLock: false, deadlineNs: 0, onDeadline: 'abort' });
    expect(decoded('coldReset', {})).toMatchObject({ bdf: undefined });
    expect(decoded('resetDone', { ...at, all: true })).toMatchObject({ token: '', all: true });
    expect(decoded('resetDone', { ...at, token: 'x' })).toMatchObject({ token: 'x', all: false });
    expect(decoded('dmaRead', { ...at, iova: half(0), bytes: 1 })).toMatchObject({ pasid: -1 });
    expect(decoded('modelDma', { ...at, operation: 1, iova: half(0), bytes: 1 })).toMatchObject({
      data: undefined,
      pasid: -1,
      translated: false,
      hold: undefined,
      holdNs: 0,
    });
    expect(decoded('dmaRelease', at)).toMatchObject({ request: 0 });
    expect(decoded('faultDisarm', { armed: 0 })).toEqual({ kind: 'fault-disarm', armed: 0 });
    expect(decoded('faultArm', { fault: 14, address: { low: 1, high: 0 }, bytes: { low: 2, high: 0 } })).toMatchObject({
      bdf: undefined,
      range: { address: 1n, bytes: 2n },
    });
    expect(decoded('faultArm', { ...at, fault: 1 })).toMatchObject({ first: 1, count: 1, point: undefined, delayNs: 0 });
    expect(decoded('clockAdvance', { ns: half(1) })).toMatchObject({ force: false });
  });
});

function half(low: number): { low: number; high: number } {
  return { low, high: 0 };
}

describe('a value that cannot be is EINVAL naming the field', () => {
  const at = { function: 0x10 };
  const beyondSafe = { low: 0, high: 0x20_0000 };

  it.each<[ServedCall, string, object]>([
    ['domainAlloc', 'type', { type: 0 }],
    ['domainAlloc', 'type', { type: 4 }],
    ['resetTrigger', 'method', { ...at, method: 8 }],
    ['resetTrigger', 'method', { ...at, method: 0 }],
    ['resetMethodsSet', 'methods', { ...at, methods: 'x'.repeat(257) }],
    ['resetPrepare', 'on_deadline', { ...at, token: 'x', deadlineNs: half(0), onDeadline: 3 }],
    ['resetPrepare', 'token', { ...at, token: '', deadlineNs: half(0) }],
    ['resetPrepare', 'token', { ...at, token: 'x'.repeat(65), deadlineNs: half(0) }],
    ['resetPrepare', 'deadline_ns', { ...at, token: 'x', deadlineNs: beyondSafe }],
    ['resetDone', 'token', { ...at, all: true, token: 'x'.repeat(65) }],
    ['modelDma', 'operation', { ...at, operation: 7, iova: half(0), bytes: 1 }],
    ['modelDma', 'translations', { ...at, operation: 6, iova: half(0), bytes: 1, translations: 9 }],
    ['invalidateComplete', 'completions', { ...at, itags: 1, completions: 0 }],
    ['invalidateComplete', 'completions', { ...at, itags: 1, completions: 9 }],
    ['deviceClaim', 'reset_deadline_ms', { ...at, resetDeadlineMs: 0 }],
    ['deviceClaim', 'reset_deadline_ms', { ...at, resetDeadlineMs: 600_001 }],
    ['modelDma', 'hold', { ...at, operation: 1, iova: half(0), bytes: 1, hold: 4 }],
    ['modelDma', 'hold_ns', { ...at, operation: 1, iova: half(0), bytes: 1, holdNs: beyondSafe }],
    ['modelDma', 'bytes', { ...at, operation: 1, iova: half(0), bytes: 0 }],
    ['modelDma', 'pasid', { ...at, operation: 1, iova: half(0), bytes: 1, pasid: 0x10_0000 }],
    ['dmaRead', 'bytes', { ...at, iova: half(0), bytes: (1 << 20) + 1 }],
    ['memoryRead', 'bytes', { address: half(0), bytes: 0 }],
    ['memoryClaim', 'depth', { address: half(0), bytes: half(0), depth: 0 }],
    ['memoryClaim', 'depth', { address: half(0), bytes: half(0), depth: 1025 }],
    ['regionRead', 'offset', { ...at, region: 0, offset: beyondSafe, bytes: 4 }],
    ['pasidAttach', 'pasid', { ...at, pasid: 0x10_0000, domain: 1 }],
    ['dmaMap', 'access', { domain: 1, iova: half(0), address: half(0), bytes: half(0), access: 0 }],
    ['dmaMap', 'access', { domain: 1, iova: half(0), address: half(0), bytes: half(0), access: 8 }],
    ['dmaMap', 'domain', { ...at, domain: 1, iova: half(0), address: half(0), bytes: half(0), access: 1 }],
    ['dmaUnmap', 'pasid', { domain: 1, pasid: 3, iova: half(0), bytes: half(0) }],
    ['irqRemapSet', 'vector', { index: 1, destination: 0 }],
    ['irqRemapSet', 'vector', { index: 1, source: 0x10 }],
    ['faultArm', 'fault', { ...at, fault: 99 }],
    ['faultArm', 'function', { fault: 14 }],
    ['faultArm', 'error', { fault: 14, address: { low: 1, high: 0 }, bytes: { low: 2, high: 0 }, error: 9 }],
    ['faultArm', 'point', { ...at, fault: 1, point: 5 }],
    ['clockAdvance', 'ns', { ns: beyondSafe }],
  ])('%s: %s', (name, field, body) => {
    expect(() => decoded(name, body)).toThrow(einval(field));
  });
});

it('a domain can be named by the function that has it', () => {
  const range = { iova: half(0x1000), bytes: half(0x1000) };
  expect(decoded('dmaUnmap', { function: 0x10, ...range })).toMatchObject({ target: { bdf: 0x10, pasid: -1 } });
  expect(decoded('dmaUnmap', { function: 0x10, pasid: 3, ...range })).toMatchObject({ target: { bdf: 0x10, pasid: 3 } });
});

it('an interrupt remapping entry without a vector is taken out', () => {
  expect(decoded('irqRemapSet', { index: 1 })).toEqual({ kind: 'irq-remap-set', index: 1, entry: undefined });
});

it('every call names the roles that may make it', () => {
  const rows = SERVED.flatMap((row) => row ?? []);
  const names = (roles: string): string[] => rows.filter((row) => row.roles.join(' ') === roles).map((row) => row.name);
  expect(names('device')).toEqual([
    'device_claim',
    'device_release',
    'device_interrupt',
    'device_alarm_set',
    'page_request',
    'dma_read',
    'dma_write',
    'device_translate',
    'invalidate_complete',
    'dma_list',
    'dma_atomic',
  ]);
  expect(names('memory')).toEqual(['memory_claim', 'memory_release', 'memory_dirty']);
  expect(names('host observer')).toEqual([
    'group_info',
    'iova_to_phys',
    'fault_records',
    'calls_held',
    'unmapped_ranges',
    'page_faults',
    'ioas_ranges',
    'ledger',
    'fault_list',
    'trace_hash',
  ]);
  expect(names('host device memory observer')).toEqual([
    'machine_info',
    'function_list',
    'function_info',
    'irq_info',
    'function_regions',
    'clock_info',
  ]);
  expect(names('host').length).toBe(rows.length - 33);
});
