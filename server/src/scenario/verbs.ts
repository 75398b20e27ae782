// long: one table, read as a list
/** What can be done in a scenario: a verb is a command of the machine, or a step of the stage itself (`stage.ts`). */
import { ACCESS, HOLD_POINTS, NO_PASID, REGION, RESET_METHODS, high32, low32, type DmaOperation } from '../core/base/index.ts';
import {
  BUS_SPACES,
  DEFAULT_TYPES,
  ERROR_CALLBACKS,
  FAULT_KINDS,
  MEMORY_ERRORS,
  SLOT_SIGNALS,
  VOTES,
  type CallName,
  type Command,
  type DomainTarget,
  type ModelDma,
  type StepName,
} from '../core/machine/index.ts';
import type { Arguments } from './arguments.ts';
import { at } from './syntax.ts';

interface Verb {
  /** How it is written, for docs/scenarios.md and for messages. */
  readonly usage: string;
  readonly does: string;
  command(a: Arguments): Command;
}

const DEADLINE_NS = 10_000_000;
const ACCESS_OF = { r: ACCESS.read, w: ACCESS.write, rw: ACCESS.readWrite } as const;

export const VERBS: Readonly<Record<string, Verb>> = {
  alloc: {
    usage: 'alloc BYTES',
    does: 'allocates guest memory; its value is the address',
    command: (a) => ({ kind: 'memory-alloc', bytes: a.bigint('a number of bytes') }),
  },
  free: { usage: 'free ADDRESS', does: 'gives memory back', command: (a) => ({ kind: 'memory-free', address: a.bigint('an address') }) },
  poke: {
    usage: 'poke ADDRESS "text"',
    does: 'writes guest memory as a host does',
    command: (a) => ({ kind: 'memory-write', address: a.bigint('an address'), data: a.data() }),
  },
  peek: {
    usage: 'peek ADDRESS BYTES',
    does: 'reads it; field `data`',
    command: (a) => ({ kind: 'memory-read', address: a.bigint('an address'), bytes: a.number('a number of bytes') }),
  },
  domain: {
    usage: 'domain paging|identity|blocked [shared=yes] [format=F] [root=ADDRESS] [parent=DOMAIN]',
    does: 'allocates a domain; its value is the number. `root`: of tables that a guest wrote; `parent`: the second stage of a nested one',
    command: (a) => ({
      kind: 'domain-alloc',
      type: oneOf(a, a.word('a type'), ['paging', 'identity', 'blocked']),
      sharedAddress: a.optionWord('shared', ['yes', 'no'], 'no') === 'yes',
      format: a.optionText('format'),
      root: a.optionBigint('root'),
      parent: a.optionDomain('parent'),
    }),
  },
  'free-domain': { usage: 'free-domain DOMAIN', does: 'frees it', command: (a) => ({ kind: 'domain-free', domain: a.number('a domain') }) },
  attach: {
    usage: 'attach FUNCTION DOMAIN',
    does: "attaches the function's group",
    command: (a) => ({ kind: 'domain-attach', bdf: a.fn(), domain: a.number('a domain') }),
  },
  detach: {
    usage: 'detach FUNCTION',
    does: 'puts the group back on its default domain',
    command: (a) => ({ kind: 'domain-detach', bdf: a.fn() }),
  },
  'deferred-attach': {
    usage: 'deferred-attach FUNCTION',
    does: 'what a driver does at its first use',
    command: (a) => ({ kind: 'deferred-attach', bdf: a.fn() }),
  },
  claim: { usage: 'claim FUNCTION', does: 'claims ownership of the group', command: (a) => ({ kind: 'owner-claim', bdf: a.fn() }) },
  disclaim: { usage: 'disclaim FUNCTION', does: 'releases it', command: (a) => ({ kind: 'owner-release', bdf: a.fn() }) },
  'default-type': {
    usage: 'default-type FUNCTION identity|dma|dma-fq|auto',
    does: 'gives the group another default domain, as sysfs `type` does',
    command: (a) => ({ kind: 'default-domain-set', bdf: a.fn(), type: oneOf(a, a.word('a type'), [...DEFAULT_TYPES, 'auto'] as const) }),
  },
  'pasid-attach': {
    usage: 'pasid-attach FUNCTION PASID DOMAIN',
    does: 'attaches a domain to a PASID',
    command: (a) => ({ kind: 'pasid-attach', bdf: a.fn(), pasid: a.pasid(), domain: a.number('a domain'), replace: false }),
  },
  'pasid-replace': {
    usage: 'pasid-replace FUNCTION PASID DOMAIN',
    does: 'replaces the one that is attached',
    command: (a) => ({ kind: 'pasid-attach', bdf: a.fn(), pasid: a.pasid(), domain: a.number('a domain'), replace: true }),
  },
  'pasid-detach': {
    usage: 'pasid-detach FUNCTION PASID',
    does: 'detaches it',
    command: (a) => ({ kind: 'pasid-detach', bdf: a.fn(), pasid: a.pasid() }),
  },
  map: {
    usage: 'map DOMAIN|FUNCTION IOVA|any ADDRESS BYTES [access=rw] [pasid=N]',
    does: 'maps a range in a domain, or in the one that the function has attached; `any`: where the DMA API chooses, which is its value',
    command: (a) => ({
      kind: 'map',
      target: target(a),
      iova: a.bigintOrAny('an IOVA, or any'),
      address: a.bigint('an address'),
      bytes: a.bigint('a number of bytes'),
      access: ACCESS_OF[a.optionWord('access', ['r', 'w', 'rw'], 'rw')],
    }),
  },
  unmap: {
    usage: 'unmap DOMAIN|FUNCTION IOVA BYTES [pasid=N]',
    does: 'unmaps it; answered when its pages may be used again',
    command: (a) => ({ kind: 'unmap', target: target(a), iova: a.bigint('an IOVA'), bytes: a.bigint('a number of bytes') }),
  },
  phys: {
    usage: 'phys DOMAIN|FUNCTION IOVA [pasid=N]',
    does: 'what the tables say; field `address`',
    command: (a) => ({ kind: 'iova-to-phys', target: target(a), iova: a.bigint('an IOVA') }),
  },
  unmapped: {
    usage: 'unmapped DOMAIN|FUNCTION IOVA BYTES [pasid=N]',
    does: 'which parts of a range nothing is mapped in; fields `ranges` (how many), `first`, `last` (of the first)',
    command: (a) => ({ kind: 'unmapped-ranges', target: target(a), iova: a.bigint('an IOVA'), bytes: a.bigint('a number of bytes') }),
  },
  prepare: {
    usage: 'prepare FUNCTION WINDOW [deadline=10ms] [on-deadline=abort|fail]',
    does: 'opens a reset window',
    command: (a) => ({
      kind: 'reset-prepare',
      bdf: a.fn(),
      token: a.word('a window'),
      deadlineNs: a.optionNumber('deadline', DEADLINE_NS),
      onDeadline: a.optionWord('on-deadline', ['abort', 'fail'], 'abort'),
    }),
  },
  trigger: {
    usage: 'trigger FUNCTION [method=M]',
    does: 'the reset itself, without a window of its own',
    command: (a) => ({ kind: 'reset-trigger', bdf: a.fn(), method: a.optionWord('method', RESET_METHODS) }),
  },
  done: {
    usage: 'done FUNCTION WINDOW|all',
    does: 'closes a window, or all that the function has',
    command: (a) => {
      const fn = a.fn();
      const token = a.word('a window, or all');
      return { kind: 'reset-done', bdf: fn, token: token === 'all' ? '' : token, all: token === 'all' };
    },
  },
  reset: {
    usage: 'reset FUNCTION [method=M] [window=no] [deadline=10ms] [on-deadline=abort|fail] [try=yes]',
    does: 'the whole of pci_reset_function(); without a method those that are enabled, one after the other; fields `method`, `elapsed` (ns), and those of a window',
    command: (a) => ({
      kind: 'reset',
      bdf: a.fn(),
      method: a.optionWord('method', RESET_METHODS),
      window: a.optionWord('window', ['yes', 'no'], 'yes') === 'yes',
      deadlineNs: a.optionNumber('deadline', DEADLINE_NS),
      onDeadline: a.optionWord('on-deadline', ['abort', 'fail'], 'abort'),
      ...(a.optionWord('try', ['yes', 'no'], 'no') === 'yes' ? { tryLock: true } : {}),
    }),
  },
  'bus-reset': {
    usage: 'bus-reset BRIDGE [slot=yes] [try=yes] [deadline=10ms] [on-deadline=abort|fail]',
    does: 'everything below a bridge at once (pci_reset_bus()); fields as of reset, and `functions`',
    command: (a) => ({
      kind: 'bus-reset',
      bdf: a.fn(),
      slot: a.optionWord('slot', ['yes', 'no'], 'no') === 'yes',
      tryLock: a.optionWord('try', ['yes', 'no'], 'no') === 'yes',
      deadlineNs: a.optionNumber('deadline', DEADLINE_NS),
      onDeadline: a.optionWord('on-deadline', ['abort', 'fail'], 'abort'),
    }),
  },
  'cold-reset': {
    usage: 'cold-reset [PORT]',
    does: 'power goes off and on: of everything, or of what is below a port',
    command: (a) => ({ kind: 'cold-reset', bdf: a.optionalFn() }),
  },
  'reset-methods': {
    usage: 'reset-methods FUNCTION "NAMES"',
    does: 'writes `reset_method`: names with spaces between them, `default`, or nothing; field `methods`',
    command: (a) => ({ kind: 'reset-methods-set', bdf: a.fn(), methods: new TextDecoder().decode(a.data()) }),
  },
  'reset-probe': {
    usage: 'reset-probe FUNCTION',
    does: 'asks every method whether it could reset the function; field `methods`',
    command: (a) => ({ kind: 'reset-probe', bdf: a.fn() }),
  },
  write: {
    usage: 'write FUNCTION IOVA "text" [pasid=N] [via=atc] [hold=issued|translated|performed] [hold-time=T]',
    does: 'the function writes',
    command: (a) => {
      const place = { bdf: a.fn(), iova: a.bigint('an IOVA') };
      const data = a.data();
      return dma(a, place, 'write', data.byteLength, data);
    },
  },
  read: {
    usage: 'read FUNCTION IOVA BYTES [pasid=N] [via=atc] [hold=…] [hold-time=T]',
    does: 'the function reads; field `data`',
    command: (a) => dma(a, { bdf: a.fn(), iova: a.bigint('an IOVA') }, 'read', a.number('a number of bytes'), undefined),
  },
  translate: {
    usage: 'translate FUNCTION IOVA [for=read|write] [count=1] [pasid=N] [hold=…]',
    does: 'the function makes an ATS translation request, and caches what it gets; `for=write`: it asks for the right to write too; `count`: for several',
    command: (a) => {
      const write = a.optionWord('for', ['read', 'write'], 'read') === 'write';
      const request = dma(a, { bdf: a.fn(), iova: a.bigint('an IOVA') }, 'translate', 1, undefined);
      const translations = a.optionNumber('count', 1);
      return { ...request, write, ...(translations === 1 ? {} : { translations }) };
    },
  },
  'let-go': {
    usage: 'let-go FUNCTION [REQUEST]',
    does: 'lets requests of the function go on that are held',
    command: (a) => ({ kind: 'dma-release', bdf: a.fn(), request: Number(a.optionalWord() ?? 0) }),
  },
  arm: {
    usage: 'arm FUNCTION FAULT [first=1] [count=1] [point=issued] [delay=T] [from=T] [until=T] [address=A bytes=N] [error=E] [hosts=no]',
    does: 'arms a fault on purpose (errors-and-recovery.md); count=0 is without end; of memory, FUNCTION is optional; its value is the number',
    command: (a) => ({
      kind: 'fault-arm',
      bdf: a.optionalFn(),
      fault: oneOf(a, a.word('a fault'), FAULT_KINDS),
      first: a.optionNumber('first', 1),
      count: a.optionNumber('count', 1),
      point: a.optionWord('point', HOLD_POINTS),
      delayNs: a.optionNumber('delay', 0),
      fromNs: optionTime(a, 'from'),
      untilNs: optionTime(a, 'until'),
      range: optionRange(a),
      error: a.optionWord('error', MEMORY_ERRORS),
      ...(a.optionWord('hosts', ['yes', 'no'], 'no') === 'yes' ? { hosts: true } : {}),
    }),
  },
  disarm: {
    usage: 'disarm FUNCTION FAULT | disarm FAULT-NUMBER',
    does: 'takes it away',
    command: (a) => {
      const bdf = a.optionalFn();
      return bdf === undefined
        ? { kind: 'fault-disarm', armed: a.number('a fault') }
        : { kind: 'fault-disarm', bdf, fault: oneOf(a, a.word('a fault'), FAULT_KINDS) };
    },
  },
  armed: {
    usage: 'armed',
    does: 'the faults that are armed; fields `faults` (how many), `acted`, `left` (of the last)',
    command: () => ({ kind: 'fault-list' }),
  },
  'report-errors': {
    usage: 'report-errors',
    does: 'enables error reporting in every function, as Linux does at boot',
    command: () => ({ kind: 'error-reporting' }),
  },
  plug: {
    usage: 'plug ADDRESS MODEL [port=PORT]',
    does: 'plugs a function in: below a port (`plug 00.0 edu port=00:1c.0`), or where its address says; field `functions`',
    command: (a) => ({
      kind: 'function-plug',
      functions: JSON.stringify({ functions: [{ address: a.word('an address'), model: a.word('a model') }] }),
      port: a.optionFn('port'),
    }),
  },
  unplug: {
    usage: 'unplug FUNCTION [surprise=yes] [deadline=10ms]',
    does: 'takes it out in order, or pulls it out; of a port, what is below it',
    command: (a) => ({
      kind: 'function-unplug',
      bdf: a.fn(),
      surprise: a.optionWord('surprise', ['yes', 'no'], 'no') === 'yes',
      deadlineNs: a.optionNumber('deadline', DEADLINE_NS),
    }),
  },
  slot: {
    usage: 'slot PORT SIGNAL',
    does: 'a hand at the slot below a port, or its power controller: `attention-button`, `power-fault`, `latch-opened`, `latch-closed`',
    command: (a) => ({ kind: 'slot-signal', bdf: a.fn(), signal: oneOf(a, a.word('a signal'), SLOT_SIGNALS) }),
  },
  vote: {
    usage: 'vote FUNCTION CALLBACK VOTE',
    does: 'what its driver answers in a recovery from now on (errors-and-recovery.md)',
    command: (a) => ({
      kind: 'error-vote',
      bdf: a.fn(),
      callback: oneOf(a, a.word('a callback'), ERROR_CALLBACKS),
      vote: oneOf(a, a.word('a vote'), VOTES),
    }),
  },
  recover: {
    usage: 'recover FUNCTION [frozen=no]',
    does: 'recovers from an error that it told of (pcie_do_recovery); `recovered` or `failed`, fields `status`, `reset`',
    command: (a) => ({ kind: 'error-recover', bdf: a.fn(), frozen: a.optionWord('frozen', ['yes', 'no'], 'no') === 'yes' }),
  },
  hold: {
    usage: 'hold CALL|any STEP|any [FUNCTION] [count=N]',
    does: 'holds calls before a step (steps.md); its value is the hold',
    command: (a) => ({
      kind: 'call-hold',
      call: any(a.word('a call')) as CallName | '',
      step: any(a.word('a step')) as StepName | '',
      bdf: a.optionalFn(),
      count: a.optionNumber('count', 0),
    }),
  },
  release: {
    usage: 'release HOLD',
    does: 'takes the hold away, and lets go what it stopped',
    command: (a) => ({ kind: 'call-release', hold: a.number('a hold'), stopped: 0, keep: false }),
  },
  step: {
    usage: 'step HOLD',
    does: 'lets what it stopped go on to the next step that it names',
    command: (a) => ({ kind: 'call-release', hold: a.number('a hold'), stopped: 0, keep: true }),
  },
  advance: {
    usage: 'advance TIME [force=yes]',
    does: "moves the machine's clock",
    command: (a) => ({ kind: 'clock-advance', ns: a.number('a time'), force: a.optionWord('force', ['yes', 'no'], 'no') === 'yes' }),
  },
  'bus-read': {
    usage: 'bus-read memory|io|config ADDRESS BYTES',
    does: 'reads as a processor does, by address (bus-access.md); field `value`',
    command: (a) => ({
      kind: 'bus-read',
      space: oneOf(a, a.word('a space'), BUS_SPACES),
      address: a.bigint('an address'),
      bytes: a.number('a number of bytes'),
    }),
  },
  'bus-write': {
    usage: 'bus-write memory|io|config ADDRESS BYTES VALUE',
    does: 'writes so',
    command: (a) => {
      const space = oneOf(a, a.word('a space'), BUS_SPACES);
      const address = a.bigint('an address');
      const bytes = a.number('a number of bytes');
      const value = a.bigint('a value');
      return { kind: 'bus-write', space, address, bytes, valueLow: low32(value), valueHigh: high32(value) };
    },
  },
  'config-read': {
    usage: 'config-read FUNCTION OFFSET BYTES',
    does: 'reads configuration space; field `value`',
    command: (a) => ({
      kind: 'region-read',
      bdf: a.fn(),
      region: REGION.config,
      offset: a.number('an offset'),
      bytes: a.number('a number of bytes'),
    }),
  },
  'config-write': {
    usage: 'config-write FUNCTION OFFSET BYTES VALUE',
    does: 'writes it',
    command: (a) => ({
      kind: 'region-write',
      bdf: a.fn(),
      region: REGION.config,
      offset: a.number('an offset'),
      bytes: a.number('a number of bytes'),
      valueLow: a.number('a value') | 0,
      valueHigh: 0,
    }),
  },
  state: { usage: 'state FUNCTION', does: 'what the function is in', command: (a) => ({ kind: 'function-info', bdf: a.fn() }) },
  group: { usage: 'group FUNCTION', does: 'what its group is in', command: (a) => ({ kind: 'group-info', bdf: a.fn() }) },
  ledger: { usage: 'ledger FUNCTION', does: 'its requests in flight; field `entries`', command: (a) => ({ kind: 'ledger', bdf: a.fn() }) },
  faults: { usage: 'faults', does: "the IOMMU's fault records; fields `records`, `last`", command: () => ({ kind: 'fault-records' }) },
  held: { usage: 'held', does: 'the calls that stand before a step; field `calls`', command: () => ({ kind: 'calls-held' }) },
};

function target(a: Arguments): DomainTarget {
  const fn = a.optionalFn();
  if (fn !== undefined) return { bdf: fn, pasid: a.optionPasid() };
  return { domain: a.number('a domain or a function') };
}

function dma(
  a: Arguments,
  { bdf, iova }: Pick<ModelDma, 'bdf'> & { readonly iova: bigint },
  operation: DmaOperation,
  bytes: number,
  data: Uint8Array | undefined,
): ModelDma {
  return {
    kind: 'model-dma',
    bdf,
    operation,
    bytes,
    data,
    iovaLow: low32(iova),
    iovaHigh: high32(iova),
    pasid: operation === 'translate' || a.statement.options.has('pasid') ? a.optionPasid() : NO_PASID,
    translated: a.optionWord('via', ['atc', 'iommu'], 'iommu') === 'atc',
    hold: a.optionWord('hold', HOLD_POINTS),
    holdNs: a.optionNumber('hold-time', 0),
  };
}

function optionTime(a: Arguments, name: string): number | undefined {
  const time = a.optionBigint(name);
  return time === undefined ? undefined : Number(time);
}

function optionRange(a: Arguments): { readonly address: bigint; readonly bytes: bigint } | undefined {
  const address = a.optionBigint('address');
  const bytes = a.optionBigint('bytes');
  return address === undefined && bytes === undefined ? undefined : { address: address ?? 0n, bytes: bytes ?? 0n };
}

function any(word: string): string {
  return word === 'any' ? '' : word;
}

function oneOf<W extends string>(a: Arguments, text: string, words: readonly W[]): W {
  const word = words.find((known) => known === text);
  if (word === undefined) throw at(a.statement.line, `"${text}" is not one of ${words.join(', ')}`);
  return word;
}
