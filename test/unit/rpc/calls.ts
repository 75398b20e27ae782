// long: one contract, read as a list
/** One complete example of every call that a machine serves: what is sent, which of it is needed, and the command that it becomes. */
import type { Calls } from '../../../proto/index.ts';
import type { ServedCall } from '../../../server/src/rpc/decode.ts';

const FUNCTION = 0x0001_0a13;
const WIDE = { low: 0x1000, high: -0x8000 } as const;
const WIDE_BIG = 0xffff_8000_0000_1000n;
const PHYSICAL = { low: -0x1000, high: 0xff } as const;
const PHYSICAL_BIG = 0xff_ffff_f000n;
const SAFE = { low: -1, high: 0x1f_ffff } as const;
const SAFE_NUMBER = 2 ** 53 - 1;
const DATA = Uint8Array.of(1, 2, 3, 4);

export interface Example<Name extends ServedCall> {
  readonly body: Calls[Name]['request'];
  readonly data?: Uint8Array;
  /** Names in the .proto; each must be there. */
  readonly needs: readonly string[];
  readonly command: Record<string, unknown>;
}
type Examples = { readonly [Name in ServedCall]: Example<Name> };

const bdf = FUNCTION;
const place = { body: { function: FUNCTION }, needs: ['function'] } as const;

const PAGES = {
  bdf: FUNCTION,
  iova: WIDE_BIG,
  pages: 512,
  access: 7,
  pasid: 7,
  privileged: true,
  group: 511,
  last: false,
  stopMarker: false,
} as const;

export const EXAMPLES: Examples = {
  regionRead: {
    body: { function: FUNCTION, region: 7, offset: SAFE, bytes: 4 },
    needs: ['function', 'region', 'offset', 'bytes'],
    command: { kind: 'region-read', bdf, region: 7, offset: SAFE_NUMBER, bytes: 4 },
  },
  regionWrite: {
    body: { function: FUNCTION, region: 0, offset: { low: 8, high: 0 }, bytes: 8, value: WIDE },
    needs: ['function', 'region', 'offset', 'bytes', 'value'],
    command: { kind: 'region-write', bdf, region: 0, offset: 8, bytes: 8, valueLow: 0x1000, valueHigh: -0x8000 },
  },
  busRead: {
    body: { space: 1, address: WIDE, bytes: 8 },
    needs: ['space', 'address', 'bytes'],
    command: { kind: 'bus-read', space: 'memory', address: 0xffff_8000_0000_1000n, bytes: 8 },
  },
  busWrite: {
    body: { space: 2, address: { low: 0xcf8, high: 0 }, bytes: 4, value: WIDE },
    needs: ['space', 'address', 'bytes', 'value'],
    command: { kind: 'bus-write', space: 'io', address: 0xcf8n, bytes: 4, valueLow: 0x1000, valueHigh: -0x8000 },
  },
  machineInfo: { body: {}, needs: [], command: { kind: 'machine-info' } },
  functionList: { body: {}, needs: [], command: { kind: 'function-list' } },
  functionInfo: { ...place, command: { kind: 'function-info', bdf } },
  configRead: {
    body: { function: FUNCTION, offset: 0x100, bytes: 8 },
    needs: ['function', 'offset', 'bytes'],
    command: { kind: 'config-read', bdf, offset: 0x100, bytes: 8 },
  },
  functionRegions: { ...place, command: { kind: 'function-regions', bdf } },
  functionPlug: {
    body: { port: FUNCTION, topology: 'functions: []' },
    needs: ['topology'],
    command: { kind: 'function-plug', port: FUNCTION, functions: 'functions: []' },
  },
  functionUnplug: {
    body: { function: FUNCTION, surprise: true, deadlineNs: SAFE },
    needs: ['function'],
    command: { kind: 'function-unplug', bdf, surprise: true, deadlineNs: SAFE_NUMBER },
  },
  irqInfo: { ...place, command: { kind: 'irq-info', bdf } },
  modelInterrupt: {
    body: { function: FUNCTION, vector: 31, line: false },
    needs: ['function'],
    command: { kind: 'model-interrupt', bdf, vector: 31, line: false },
  },
  deviceInterrupt: {
    body: { function: FUNCTION, vector: 0xffff_ffff, line: true },
    needs: ['function'],
    command: { kind: 'device-interrupt', bdf, vector: 0xffff_ffff, line: true },
  },
  irqRemapSet: {
    body: { index: 65_535, vector: 255, destination: 0xffff_ffff, source: FUNCTION },
    needs: ['index', 'vector'],
    command: { kind: 'irq-remap-set', index: 65_535, entry: { vector: 255, destination: 0xffff_ffff, source: bdf } },
  },
  regionWriteMulti: {
    body: { function: FUNCTION, writes: [{ region: 0, offset: { low: 8, high: 0 }, bytes: 8, value: WIDE }] },
    needs: ['function'],
    command: {
      kind: 'region-write-multi',
      bdf,
      writes: [{ region: 0, offset: 8, bytes: 8, valueLow: 0x1000, valueHigh: -0x8000 }],
    },
  },
  deviceClaim: {
    body: {
      function: FUNCTION,
      port: 0xe0,
      declare: 'functions: []',
      config: 2,
      postedWrites: true,
      widths: 12,
      writeMulti: true,
      atc: 2,
      resetDeadlineMs: 600_000,
    },
    needs: ['declare'],
    command: {
      kind: 'device-claim',
      bdf,
      port: 0xe0,
      declare: 'functions: []',
      config: 'emulator',
      postedWrites: true,
      widths: 12,
      writeMulti: true,
      ownAtc: true,
      resetDeadlineMs: 600_000,
    },
  },
  deviceAlarmSet: {
    body: { function: FUNCTION, alarm: 15, delayNs: SAFE },
    needs: ['function', 'alarm'],
    command: { kind: 'device-alarm-set', bdf, alarm: 15, delayNs: SAFE_NUMBER },
  },
  dmaList: {
    body: {
      function: FUNCTION,
      ranges: [{ iova: WIDE, bytes: 4 }],
      write: true,
      pasid: 7,
      translated: true,
      privileged: true,
      execute: true,
    },
    data: DATA,
    needs: ['function'],
    command: {
      kind: 'dma-list',
      bdf,
      ranges: [{ iovaLow: 0x1000, iovaHigh: -0x8000, bytes: 4 }],
      write: true,
      data: DATA,
      pasid: 7,
      translated: true,
      privileged: true,
      execute: true,
    },
  },
  dmaAtomic: {
    body: { function: FUNCTION, iova: WIDE, operation: 5, bytes: 16, pasid: 7, translated: true, privileged: true },
    data: DATA,
    needs: ['function', 'iova', 'operation', 'bytes', 'data'],
    command: {
      kind: 'dma-atomic',
      bdf,
      operation: 'compare-and-swap',
      iovaLow: 0x1000,
      iovaHigh: -0x8000,
      bytes: 16,
      data: DATA,
      pasid: 7,
      translated: true,
      privileged: true,
    },
  },
  deviceRelease: { ...place, command: { kind: 'device-release', bdf } },
  groupInfo: { ...place, command: { kind: 'group-info', bdf } },
  domainAlloc: {
    body: {
      type: 1,
      sharedAddress: true,
      format: 'riscv-sv39',
      root: { low: 0x4000, high: 1 },
      parent: 7,
      dirtyTracking: true,
      accessedDirty: false,
      faults: true,
    },
    needs: ['type'],
    command: {
      kind: 'domain-alloc',
      type: 'paging',
      sharedAddress: true,
      format: 'riscv-sv39',
      root: 0x1_0000_4000n,
      parent: 7,
      dirtyTracking: true,
      accessedDirty: false,
      faults: true,
    },
  },
  domainFree: { body: { domain: 3 }, needs: ['domain'], command: { kind: 'domain-free', domain: 3 } },
  domainAttach: {
    body: { function: FUNCTION, domain: 3 },
    needs: ['function', 'domain'],
    command: { kind: 'domain-attach', bdf, domain: 3 },
  },
  domainDetach: { ...place, command: { kind: 'domain-detach', bdf } },
  pasidAttach: {
    body: { function: FUNCTION, pasid: 0xf_ffff, domain: 4, replace: true },
    needs: ['function', 'pasid', 'domain'],
    command: { kind: 'pasid-attach', bdf, pasid: 0xf_ffff, domain: 4, replace: true },
  },
  callHold: {
    body: { call: 'prepare', step: 'atc-sent', function: FUNCTION, count: 2 },
    needs: [],
    command: { kind: 'call-hold', call: 'prepare', step: 'atc-sent', bdf, count: 2 },
  },
  callRelease: {
    body: { hold: 3, stopped: 4, keep: true },
    needs: ['hold'],
    command: { kind: 'call-release', hold: 3, stopped: 4, keep: true },
  },
  callsHeld: { body: {}, needs: [], command: { kind: 'calls-held' } },
  pasidDetach: { body: { function: FUNCTION, pasid: 0 }, needs: ['function', 'pasid'], command: { kind: 'pasid-detach', bdf, pasid: 0 } },
  deferredAttach: { ...place, command: { kind: 'deferred-attach', bdf } },
  reportBroken: { ...place, command: { kind: 'report-broken', bdf } },
  ownerClaim: { ...place, command: { kind: 'owner-claim', bdf } },
  ownerRelease: { ...place, command: { kind: 'owner-release', bdf } },
  defaultDomainSet: {
    body: { function: FUNCTION, type: 3 },
    needs: ['function', 'type'],
    command: { kind: 'default-domain-set', bdf, type: 'dma-fq' },
  },
  unmappedRanges: {
    body: { domain: 5, iova: WIDE, bytes: PHYSICAL },
    needs: ['domain', 'iova', 'bytes'],
    command: { kind: 'unmapped-ranges', target: { domain: 5 }, iova: WIDE_BIG, bytes: PHYSICAL_BIG },
  },
  dmaMap: {
    body: { domain: 5, iova: WIDE, address: PHYSICAL, bytes: { low: 0x2000, high: 0 }, access: 3 },
    needs: ['domain', 'address', 'bytes', 'access'],
    command: { kind: 'map', target: { domain: 5 }, iova: WIDE_BIG, address: PHYSICAL_BIG, bytes: 0x2000n, access: 3 },
  },
  dmaUnmap: {
    body: { domain: 5, iova: WIDE, bytes: PHYSICAL },
    needs: ['domain', 'iova', 'bytes'],
    command: { kind: 'unmap', target: { domain: 5 }, iova: WIDE_BIG, bytes: PHYSICAL_BIG },
  },
  iovaToPhys: {
    body: { domain: 5, iova: WIDE },
    needs: ['domain', 'iova'],
    command: { kind: 'iova-to-phys', target: { domain: 5 }, iova: WIDE_BIG },
  },
  dirtyTrackingSet: {
    body: { domain: 5, on: true },
    needs: ['domain', 'on'],
    command: { kind: 'dirty-tracking-set', target: { domain: 5 }, on: true },
  },
  dirtyRead: {
    body: { domain: 5, iova: WIDE, bytes: { low: 0x4000, high: 0 }, pageBytes: { low: 0x1000, high: 0 }, noClear: true },
    needs: ['domain', 'iova', 'bytes', 'page_bytes'],
    command: { kind: 'dirty-read', target: { domain: 5 }, iova: WIDE_BIG, bytes: 0x4000n, pageBytes: 0x1000n, clear: false },
  },
  ioasAlloc: { body: {}, needs: [], command: { kind: 'ioas-alloc' } },
  ioasFree: { body: { ioas: 2 }, needs: ['ioas'], command: { kind: 'ioas-free', ioas: 2 } },
  ioasMap: {
    body: { ioas: 2, iova: WIDE, address: PHYSICAL, bytes: { low: 0x2000, high: 0 }, access: 3 },
    needs: ['ioas', 'address', 'bytes', 'access'],
    command: { kind: 'ioas-map', ioas: 2, iova: WIDE_BIG, address: PHYSICAL_BIG, bytes: 0x2000n, access: 3 },
  },
  ioasCopy: {
    body: { from: 1, fromIova: PHYSICAL, ioas: 2, iova: WIDE, bytes: { low: 0x2000, high: 0 }, access: 1 },
    needs: ['from', 'from_iova', 'ioas', 'bytes', 'access'],
    command: { kind: 'ioas-copy', from: 1, fromIova: PHYSICAL_BIG, ioas: 2, iova: WIDE_BIG, bytes: 0x2000n, access: 1 },
  },
  ioasUnmap: {
    body: { ioas: 2, iova: WIDE, bytes: PHYSICAL },
    needs: ['ioas', 'iova', 'bytes'],
    command: { kind: 'ioas-unmap', ioas: 2, iova: WIDE_BIG, bytes: PHYSICAL_BIG },
  },
  ioasRanges: {
    body: { ioas: 2, unmapped: true, max: 7 },
    needs: ['ioas'],
    command: { kind: 'ioas-ranges', ioas: 2, unmapped: true, max: 7 },
  },
  ioasAllow: {
    body: { ioas: 2, ranges: [{ first: PHYSICAL, last: WIDE }] },
    needs: ['ioas'],
    command: { kind: 'ioas-allow', ioas: 2, ranges: [{ first: PHYSICAL_BIG, last: WIDE_BIG }] },
  },
  domainInvalidate: {
    body: { domain: 5, type: 1, requests: [{ iova: WIDE, pages: { low: -1, high: -1 } }] },
    needs: ['domain', 'type'],
    command: { kind: 'domain-invalidate', domain: 5, type: 'vtd-s1', requests: [{ iova: WIDE_BIG, pages: 2n ** 64n - 1n }] },
  },
  faultRecords: { body: {}, needs: [], command: { kind: 'fault-records' } },
  memoryAlloc: { body: { bytes: PHYSICAL }, needs: ['bytes'], command: { kind: 'memory-alloc', bytes: PHYSICAL_BIG } },
  memoryFree: { body: { address: PHYSICAL }, needs: ['address'], command: { kind: 'memory-free', address: PHYSICAL_BIG } },
  memoryRead: {
    body: { address: WIDE, bytes: 1 << 20 },
    needs: ['address', 'bytes'],
    command: { kind: 'memory-read', address: WIDE_BIG, bytes: 1 << 20 },
  },
  memoryWrite: {
    body: { address: PHYSICAL },
    data: DATA,
    needs: ['address', 'data'],
    command: { kind: 'memory-write', address: PHYSICAL_BIG, data: DATA },
  },
  memoryDirty: {
    body: { ranges: [{ address: PHYSICAL, bytes: { low: 0x1000, high: 0 } }] },
    needs: [],
    command: { kind: 'memory-dirty', ranges: [{ address: PHYSICAL_BIG, bytes: 0x1000n }] },
  },
  dirtyLogSet: { body: { on: true }, needs: ['on'], command: { kind: 'dirty-log-set', on: true } },
  dirtyLogRead: {
    body: { address: PHYSICAL, bytes: { low: 0x4000, high: 0 }, pageBytes: { low: 0x1000, high: 0 }, noClear: true },
    needs: ['address', 'bytes', 'page_bytes'],
    command: { kind: 'dirty-log-read', address: PHYSICAL_BIG, bytes: 0x4000n, pageBytes: 0x1000n, clear: false },
  },
  memoryClaim: {
    body: { address: PHYSICAL, bytes: { low: 0x1000, high: 0 }, depth: 1024 },
    needs: ['address', 'bytes'],
    command: { kind: 'memory-claim', address: PHYSICAL_BIG, bytes: 0x1000n, depth: 1024 },
  },
  memoryRelease: { body: { address: PHYSICAL }, needs: ['address'], command: { kind: 'memory-release', address: PHYSICAL_BIG } },
  resetPrepare: {
    body: { function: FUNCTION, token: 't'.repeat(64), deadlineNs: SAFE, onDeadline: 2 },
    needs: ['function', 'token', 'deadline_ns'],
    command: { kind: 'reset-prepare', bdf, token: 't'.repeat(64), deadlineNs: SAFE_NUMBER, onDeadline: 'fail' },
  },
  resetTrigger: {
    body: { function: FUNCTION, method: 3 },
    needs: ['function'],
    command: { kind: 'reset-trigger', bdf, method: 'flr' },
  },
  resetDone: {
    body: { function: FUNCTION, token: 'w', all: false },
    needs: ['function', 'token'],
    command: { kind: 'reset-done', bdf, token: 'w', all: false },
  },
  resetFunction: {
    body: { function: FUNCTION, method: 6, window: false, deadlineNs: { low: 10, high: 0 }, onDeadline: 1, tryLock: true },
    needs: ['function', 'deadline_ns'],
    command: { kind: 'reset', bdf, method: 'bus', window: false, deadlineNs: 10, onDeadline: 'abort', tryLock: true },
  },
  resetProbe: { body: { function: FUNCTION }, needs: ['function'], command: { kind: 'reset-probe', bdf } },
  resetMethodsSet: {
    body: { function: FUNCTION, methods: 'x'.repeat(256) },
    needs: ['function', 'methods'],
    command: { kind: 'reset-methods-set', bdf, methods: 'x'.repeat(256) },
  },
  busReset: {
    body: { function: FUNCTION, slot: true, tryLock: true, deadlineNs: SAFE, onDeadline: 2 },
    needs: ['function'],
    command: { kind: 'bus-reset', bdf, slot: true, tryLock: true, deadlineNs: SAFE_NUMBER, onDeadline: 'fail' },
  },
  coldReset: { body: { function: FUNCTION }, needs: [], command: { kind: 'cold-reset', bdf } },
  dmaRead: {
    body: { function: FUNCTION, iova: WIDE, bytes: 1 << 20, pasid: 7, translated: true, privileged: true, execute: true },
    needs: ['function', 'iova', 'bytes'],
    command: {
      kind: 'dma-read',
      bdf,
      iovaLow: 0x1000,
      iovaHigh: -0x8000,
      bytes: 1 << 20,
      pasid: 7,
      translated: true,
      privileged: true,
      execute: true,
    },
  },
  dmaWrite: {
    body: { function: FUNCTION, iova: WIDE, pasid: 7, translated: false, privileged: true },
    data: DATA,
    needs: ['function', 'iova', 'data'],
    command: { kind: 'dma-write', bdf, iovaLow: 0x1000, iovaHigh: -0x8000, data: DATA, pasid: 7, translated: false, privileged: true },
  },
  deviceTranslate: {
    body: { function: FUNCTION, iova: WIDE, pasid: 7, write: true, privileged: true, execute: true, translations: 8 },
    needs: ['function', 'iova'],
    command: {
      kind: 'device-translate',
      bdf,
      iovaLow: 0x1000,
      iovaHigh: -0x8000,
      pasid: 7,
      write: true,
      privileged: true,
      execute: true,
      translations: 8,
    },
  },
  invalidateComplete: {
    body: { function: FUNCTION, itags: 0x8000_0001, completions: 8 },
    needs: ['function', 'itags'],
    command: { kind: 'invalidate-complete', bdf, itags: 0x8000_0001, completions: 8 },
  },
  modelDma: {
    body: {
      function: FUNCTION,
      operation: 5,
      iova: WIDE,
      bytes: 8,
      pasid: 7,
      translated: true,
      privileged: true,
      execute: false,
      write: false,
      translations: 8,
      hold: 3,
      holdNs: { low: 0, high: 1 },
      onFault: 2,
    },
    data: DATA,
    needs: ['function', 'operation', 'iova', 'bytes'],
    command: {
      kind: 'model-dma',
      bdf,
      operation: 'compare-and-swap',
      iovaLow: 0x1000,
      iovaHigh: -0x8000,
      bytes: 8,
      data: DATA,
      pasid: 7,
      translated: true,
      privileged: true,
      execute: false,
      write: false,
      translations: 8,
      hold: 'performed',
      holdNs: 2 ** 32,
      onFault: 'page-request',
    },
  },
  dmaRelease: { body: { function: FUNCTION, request: 9 }, needs: ['function'], command: { kind: 'dma-release', bdf, request: 9 } },
  ledger: { ...place, command: { kind: 'ledger', bdf } },
  faultArm: {
    body: {
      function: FUNCTION,
      fault: 14,
      first: 2,
      count: 0,
      point: 1,
      delayNs: { low: 5, high: 0 },
      fromNs: SAFE,
      untilNs: { low: 7, high: 1 },
      address: PHYSICAL,
      bytes: { low: 0x1000, high: 0 },
      error: 3,
    },
    needs: ['fault', 'bytes'],
    command: {
      kind: 'fault-arm',
      bdf,
      fault: 'memory-errors',
      first: 2,
      count: 0,
      point: 'issued',
      delayNs: 5,
      fromNs: SAFE_NUMBER,
      untilNs: 2 ** 32 + 7,
      range: { address: PHYSICAL_BIG, bytes: 0x1000n },
      error: 'poisoned',
    },
  },
  slotSignal: {
    body: { function: FUNCTION, signal: 3 },
    needs: ['function', 'signal'],
    command: { kind: 'slot-signal', bdf, signal: 'latch-opened' },
  },
  errorVote: {
    body: { function: FUNCTION, callback: 2, vote: 5 },
    needs: ['function', 'callback', 'vote'],
    command: { kind: 'error-vote', bdf, callback: 'mmio-enabled', vote: 'no-driver' },
  },
  errorRecover: { body: { function: FUNCTION, frozen: true }, needs: ['function'], command: { kind: 'error-recover', bdf, frozen: true } },
  errorReporting: { body: {}, needs: [], command: { kind: 'error-reporting' } },
  faultList: { body: {}, needs: [], command: { kind: 'fault-list' } },
  faultDisarm: {
    body: { function: FUNCTION, fault: 6 },
    needs: ['function', 'fault'],
    command: { kind: 'fault-disarm', bdf, fault: 'attach-fails' },
  },
  modelPageRequest: {
    body: {
      function: FUNCTION,
      iova: WIDE,
      pages: 512,
      access: 7,
      pasid: 7,
      privileged: true,
      group: 511,
      last: false,
      stopMarker: false,
    },
    needs: ['function', 'iova'],
    command: { kind: 'model-page-request', ...PAGES },
  },
  pageRequest: {
    body: { function: FUNCTION, iova: WIDE, pages: 512, access: 7, pasid: 7, privileged: true, group: 511, last: false, stopMarker: false },
    needs: ['function', 'iova'],
    command: { kind: 'page-request', ...PAGES },
  },
  pageResponse: {
    body: { fault: 9, answer: 2 },
    needs: ['fault', 'answer'],
    command: { kind: 'page-response', fault: 9, answer: 'invalid' },
  },
  pageFaults: { body: {}, needs: [], command: { kind: 'page-faults' } },
  clockInfo: { body: {}, needs: [], command: { kind: 'clock-info' } },
  clockAdvance: { body: { ns: SAFE, force: true }, needs: ['ns'], command: { kind: 'clock-advance', ns: SAFE_NUMBER, force: true } },
  clockHold: { body: {}, needs: [], command: { kind: 'clock-hold' } },
  clockGrant: { body: { ns: SAFE }, needs: ['ns'], command: { kind: 'clock-grant', ns: SAFE_NUMBER } },
  clockRelease: { body: {}, needs: [], command: { kind: 'clock-release' } },
  traceHash: { body: {}, needs: [], command: { kind: 'trace-hash' } },
};

export const EXAMPLE_NAMES = Object.keys(EXAMPLES) as ServedCall[];
