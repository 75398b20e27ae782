import { iommud } from '../../../proto/index.ts';
/** Core's words and the contract's enums: one list of names for each, and a name that one of them lacks does not compile. */
import { DMA_OPERATIONS, HOLD_POINTS, OUTCOMES, PAGE_ANSWERS, RESET_METHODS, type PageResponseCode } from '../core/base/index.ts';
import {
  BUS_ERRORS,
  CONFIG_KEEPERS,
  BUS_SPACES,
  DEFAULT_TYPES,
  DRIVER_CALLBACKS,
  ERROR_CALLBACKS,
  FAULT_KINDS,
  IRQ_INDEXES,
  RAISED,
  MEMORY_ERRORS,
  SLOT_SIGNALS,
  VOTES,
  type BusError,
  type DomainType,
  type ErrorMessage,
  type FaultKind,
  type InvalidateType,
  type LedgerEntry,
  type OnDeadline,
  type PeerRoles,
} from '../core/machine/index.ts';

const v1 = iommud.v1;

type Constant<Word extends string> = Word extends `${infer Head}-${infer Tail}` ? `${Uppercase<Head>}_${Constant<Tail>}` : Uppercase<Word>;
type EnumOf<Prefix extends string, Word extends string> = { readonly [W in Word as `${Prefix}_${Constant<W>}`]: number };

/** Both ways between core's words and the numbers of one enum. */
export interface EnumMap<Word extends string> {
  readonly number: Readonly<Record<Word, number>>;
  /** Undefined for a number that is not in the enum, and for UNSPECIFIED. */
  readonly word: readonly (Word | undefined)[];
}

/** `words` are all of core's. */
function enumMap<Prefix extends string, Word extends string>(
  prefix: Prefix,
  words: readonly Word[],
  numbers: EnumOf<Prefix, Word>,
): EnumMap<Word> {
  const table = numbers as Readonly<Record<string, number>>;
  const number = {} as Record<Word, number>;
  const word: (Word | undefined)[] = [];
  for (const name of words) {
    const value = table[`${prefix}_${name.toUpperCase().replaceAll('-', '_')}`];
    if (value === undefined) throw new RangeError(`${prefix} has no ${name}`);
    number[name] = value;
    word[value] = name;
  }
  return { number, word };
}

/** A list that has every word of a union: one that is left out does not compile. */
function every<Word extends string>(words: Readonly<Record<Word, true>>): readonly Word[] {
  return Object.keys(words) as Word[];
}

export const ATC_OWNERS = enumMap('ATC_OWNER', ['server', 'peer'], v1.AtcOwner);
export type RoleName = keyof PeerRoles;
export const ROLES = enumMap('ROLE', every<RoleName>({ host: true, device: true, memory: true, observer: true }), v1.Role);
export const SPACES = enumMap('BUS_SPACE', BUS_SPACES, v1.BusSpace);
export const DOMAIN_TYPES = enumMap('DOMAIN_TYPE', every<DomainType>({ paging: true, identity: true, blocked: true }), v1.DomainType);
export const DEFAULT_DOMAIN_TYPES = enumMap('DEFAULT_DOMAIN_TYPE', [...DEFAULT_TYPES, 'auto'] as const, v1.DefaultDomainType);
export const INVALIDATE_TYPES = enumMap('INVALIDATE_TYPE', every<InvalidateType>({ 'vtd-s1': true }), v1.InvalidateType);
export const ON_DEADLINE = enumMap('ON_DEADLINE', every<OnDeadline>({ abort: true, fail: true }), v1.OnDeadline);
export const METHODS = enumMap('RESET_METHOD', RESET_METHODS, v1.ResetMethod);
export const CALLBACKS = enumMap('DRIVER_CALLBACK', DRIVER_CALLBACKS, v1.DriverCallback);
export const OUTCOME = enumMap('OUTCOME', OUTCOMES, v1.Outcome);
export const OPERATIONS = enumMap('DMA_OPERATION', DMA_OPERATIONS, v1.DmaOperation);
export const POINTS = enumMap('REQUEST_POINT', HOLD_POINTS, v1.RequestPoint);
export const FAULTS = enumMap('FAULT_KIND', FAULT_KINDS satisfies readonly FaultKind[], v1.FaultKind);
export const IRQ_INDEX = enumMap('IRQ_INDEX', IRQ_INDEXES, v1.IrqIndex);
export const INTERRUPT_OUTCOME = enumMap('INTERRUPT_OUTCOME', RAISED, v1.InterruptOutcome);
export const MEMORY_ERROR = enumMap('MEMORY_ERROR', MEMORY_ERRORS, v1.MemoryError);
export const ERRORS_ON_BUS = enumMap('BUS_ERROR', Object.keys(BUS_ERRORS) as BusError[], v1.BusError);
export const MESSAGES = enumMap('ERROR_MESSAGE', every<ErrorMessage>({ correctable: true, nonfatal: true, fatal: true }), v1.ErrorMessage);
export const CALLBACKS_OF_ERRORS = enumMap('ERROR_CALLBACK', ERROR_CALLBACKS, v1.ErrorCallback);
export const SLOT_SIGNAL = enumMap('SLOT_SIGNAL_KIND', SLOT_SIGNALS, v1.SlotSignalKind);
export const VOTE = enumMap('VOTE', VOTES, v1.Vote);
export const RECOVERY_RESET = enumMap(
  'RECOVERY_RESET',
  every<'none' | 'flr' | 'bus'>({ none: true, flr: true, bus: true }),
  v1.RecoveryReset,
);
export const LEVELS = enumMap('LOG_LEVEL', every<'info' | 'warn'>({ info: true, warn: true }), v1.LogLevel);

export const ON_FAULT = enumMap('ON_FAULT', every<'fail' | 'page-request'>({ fail: true, 'page-request': true }), v1.OnFault);
export const PAGE_ANSWER = enumMap('PAGE_ANSWER', PAGE_ANSWERS, v1.PageAnswer);
/** The answers that a host may give. */
export const PAGE_ANSWERS_OF_HOSTS = enumMap(
  'PAGE_ANSWER',
  every<PageResponseCode>({ success: true, invalid: true, failure: true }),
  v1.PageAnswer,
);

/** What a ledger shows has more operations and points than a call may ask for. */
export const LEDGER_OPERATIONS = enumMap(
  'DMA_OPERATION',
  [...DMA_OPERATIONS, 'msi', 'invalidation-completion', 'page-request', 'intx'] satisfies LedgerEntry['operation'][],
  v1.DmaOperation,
);
export const LEDGER_POINTS = enumMap(
  'REQUEST_POINT',
  [...HOLD_POINTS, 'sent', 'indeterminate'] satisfies LedgerEntry['point'][],
  v1.RequestPoint,
);

export type CreditClassName = 'control' | 'access' | 'dma' | 'memory';
export const CREDIT_CLASS_NAMES = enumMap(
  'CREDIT_CLASS',
  every<CreditClassName>({ control: true, access: true, dma: true, memory: true }),
  v1.CreditClass,
);

export type EventClassName =
  | 'fault'
  | 'interrupt'
  | 'window'
  | 'log'
  | 'trace'
  | 'page-fault'
  | 'hotplug'
  | 'driver-callback'
  | 'error'
  | 'memory';
export const EVENT_CLASSES = enumMap(
  'EVENT_CLASS',
  every<EventClassName>({
    fault: true,
    interrupt: true,
    window: true,
    log: true,
    trace: true,
    'page-fault': true,
    hotplug: true,
    'driver-callback': true,
    error: true,
    memory: true,
  }),
  v1.EventClass,
);
export const CONFIG_KEEPER = enumMap('CONFIG_KEEPER', CONFIG_KEEPERS, v1.ConfigKeeper);
