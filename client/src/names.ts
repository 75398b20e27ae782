/**
 * The contract's enumerations as people write them: `OUTCOME_NOT_PRESENT` is `'not-present'`. Both the types and the tables are made
 * from the contract, so a value that is added there is known here.
 */
import { iommud } from '../../proto/index.ts';
import { invalid } from './errors.ts';

const v1 = iommud.v1;

type Words<S extends string, Joint extends string> = S extends `${infer First}_${infer Rest}`
  ? `${Lowercase<First>}${Joint}${Words<Rest, Joint>}`
  : Lowercase<S>;
type Names<Enum, Prefix extends string, Joint extends string> = keyof {
  [Key in keyof Enum as Key extends `${Prefix}${infer Name}` ? (Name extends 'UNSPECIFIED' ? never : Words<Name, Joint>) : never]: 0;
};

/** Linux's names of reset methods have underscores. */
export type ResetMethod = Names<typeof v1.ResetMethod, 'RESET_METHOD_', '_'>;
export type Role = Names<typeof v1.Role, 'ROLE_', '-'>;
export type EventClass = Names<typeof v1.EventClass, 'EVENT_CLASS_', '-'>;
export type Outcome = Names<typeof v1.Outcome, 'OUTCOME_', '-'>;
export type DmaOperation = Names<typeof v1.DmaOperation, 'DMA_OPERATION_', '-'>;
export type RequestPoint = Names<typeof v1.RequestPoint, 'REQUEST_POINT_', '-'>;
export type FaultKind = Names<typeof v1.FaultKind, 'FAULT_KIND_', '-'>;
export type BusError = Names<typeof v1.BusError, 'BUS_ERROR_', '-'>;
export type BusSpace = Names<typeof v1.BusSpace, 'BUS_SPACE_', '-'>;
export type ErrorMessage = Names<typeof v1.ErrorMessage, 'ERROR_MESSAGE_', '-'>;
export type ErrorCallback = Names<typeof v1.ErrorCallback, 'ERROR_CALLBACK_', '-'>;
export type SlotSignal = Names<typeof v1.SlotSignalKind, 'SLOT_SIGNAL_KIND_', '-'>;
export type Vote = Names<typeof v1.Vote, 'VOTE_', '-'>;
export type RecoveryReset = Names<typeof v1.RecoveryReset, 'RECOVERY_RESET_', '-'>;
export type MemoryError = Names<typeof v1.MemoryError, 'MEMORY_ERROR_', '-'>;
export type DriverCallback = Names<typeof v1.DriverCallback, 'DRIVER_CALLBACK_', '_'>;
export type OnDeadline = Names<typeof v1.OnDeadline, 'ON_DEADLINE_', '-'>;
export type DefaultDomainType = Names<typeof v1.DefaultDomainType, 'DEFAULT_DOMAIN_TYPE_', '-'>;
export type DomainType = Names<typeof v1.DomainType, 'DOMAIN_TYPE_', '-'>;
export type PageAnswer = Names<typeof v1.PageAnswer, 'PAGE_ANSWER_', '-'>;
export type OnFault = Names<typeof v1.OnFault, 'ON_FAULT_', '-'>;
export type InvalidateType = Names<typeof v1.InvalidateType, 'INVALIDATE_TYPE_', '-'>;
export type IrqIndex = Names<typeof v1.IrqIndex, 'IRQ_INDEX_', '-'>;
/** Who caches the translations of a function that a peer plays. */
export type AtcOwner = Names<typeof v1.AtcOwner, 'ATC_OWNER_', '_'>;
export type InterruptOutcome = Names<typeof v1.InterruptOutcome, 'INTERRUPT_OUTCOME_', '-'>;
export type ConfigKeeper = Names<typeof v1.ConfigKeeper, 'CONFIG_KEEPER_', '-'>;
export type LogLevel = Names<typeof v1.LogLevel, 'LOG_LEVEL_', '-'>;
/** Where a request can be held, in order. */
export type HoldPoint = Extract<RequestPoint, 'issued' | 'translated' | 'performed'>;

interface Vocabulary<Name extends string> {
  readonly names: readonly Name[];
  /** The name of a number; one that this client does not know keeps its number, as in `outcome-40`. */
  nameOf(number: number): Name;
  /** The number of a name; `EINVAL` naming `about` for one that is not in the list. */
  numberOf(name: Name, about: string): number;
}

function vocabulary<Name extends string>(what: string, values: object, prefix: string, joint: '-' | '_'): Vocabulary<Name> {
  const byNumber: string[] = [];
  const byName = new Map<string, number>();
  for (const [key, number] of Object.entries(values) as [string, number][]) {
    if (number === 0) continue;
    const name = key.slice(prefix.length).toLowerCase().replaceAll('_', joint);
    byNumber[number] = name;
    byName.set(name, number);
  }
  return {
    names: [...byName.keys()] as Name[],
    nameOf: (number) => (byNumber[number] ?? `${what}-${number}`) as Name,
    numberOf(name, about) {
      const number = byName.get(name);
      if (number === undefined) throw invalid(about, `'${name}' is none of ${[...byName.keys()].join(', ')}`);
      return number;
    },
  };
}

export const DRIVER_CALLBACK = vocabulary<DriverCallback>('driver-callback', v1.DriverCallback, 'DRIVER_CALLBACK_', '_');
export const RESET_METHOD = vocabulary<ResetMethod>('method', v1.ResetMethod, 'RESET_METHOD_', '_');
export const CONFIG_KEEPER = vocabulary<ConfigKeeper>('config', v1.ConfigKeeper, 'CONFIG_KEEPER_', '-');
export const ROLE = vocabulary<Role>('role', v1.Role, 'ROLE_', '-');
export const EVENT_CLASS = vocabulary<EventClass>('event', v1.EventClass, 'EVENT_CLASS_', '-');
export const OUTCOME = vocabulary<Outcome>('outcome', v1.Outcome, 'OUTCOME_', '-');
export const DMA_OPERATION = vocabulary<DmaOperation>('operation', v1.DmaOperation, 'DMA_OPERATION_', '-');
export const REQUEST_POINT = vocabulary<RequestPoint>('point', v1.RequestPoint, 'REQUEST_POINT_', '-');
export const FAULT_KIND = vocabulary<FaultKind>('fault', v1.FaultKind, 'FAULT_KIND_', '-');
export const BUS_SPACE = vocabulary<BusSpace>('space', v1.BusSpace, 'BUS_SPACE_', '-');
export const BUS_ERROR = vocabulary<BusError>('error', v1.BusError, 'BUS_ERROR_', '-');
export const ERROR_MESSAGE = vocabulary<ErrorMessage>('message', v1.ErrorMessage, 'ERROR_MESSAGE_', '-');
export const ERROR_CALLBACK = vocabulary<ErrorCallback>('callback', v1.ErrorCallback, 'ERROR_CALLBACK_', '-');
export const SLOT_SIGNAL = vocabulary<SlotSignal>('signal', v1.SlotSignalKind, 'SLOT_SIGNAL_KIND_', '-');
export const VOTE = vocabulary<Vote>('vote', v1.Vote, 'VOTE_', '-');
export const RECOVERY_RESET = vocabulary<RecoveryReset>('reset', v1.RecoveryReset, 'RECOVERY_RESET_', '-');
export const MEMORY_ERROR = vocabulary<MemoryError>('error', v1.MemoryError, 'MEMORY_ERROR_', '-');
export const ON_DEADLINE = vocabulary<OnDeadline>('on-deadline', v1.OnDeadline, 'ON_DEADLINE_', '-');
export const DOMAIN_TYPE = vocabulary<DomainType>('type', v1.DomainType, 'DOMAIN_TYPE_', '-');
export const DEFAULT_DOMAIN_TYPE = vocabulary<DefaultDomainType>('type', v1.DefaultDomainType, 'DEFAULT_DOMAIN_TYPE_', '-');
export const PAGE_ANSWER = vocabulary<PageAnswer>('answer', v1.PageAnswer, 'PAGE_ANSWER_', '-');
export const ON_FAULT = vocabulary<OnFault>('on-fault', v1.OnFault, 'ON_FAULT_', '-');
export const INVALIDATE_TYPE = vocabulary<InvalidateType>('type', v1.InvalidateType, 'INVALIDATE_TYPE_', '-');
export const IRQ_INDEX = vocabulary<IrqIndex>('irq', v1.IrqIndex, 'IRQ_INDEX_', '-');
export const ATC_OWNER = vocabulary<AtcOwner>('atc', v1.AtcOwner, 'ATC_OWNER_', '_');
export const INTERRUPT_OUTCOME = vocabulary<InterruptOutcome>('interrupt', v1.InterruptOutcome, 'INTERRUPT_OUTCOME_', '-');
export const LOG_LEVEL = vocabulary<LogLevel>('level', v1.LogLevel, 'LOG_LEVEL_', '-');

const ACCESS_LETTERS = ['r', 'w', 'x'] as const;
/** Rights as letters, each at most once: `r`, `rw`, `rwx`. */
export type Access = 'r' | 'w' | 'x' | 'rw' | 'rx' | 'wx' | 'rwx';

/** The contract's bits: 1 read, 2 write, 4 execute. */
export function accessBits(access: Access, about: string): number {
  let bits = 0;
  for (const letter of access) {
    const index = ACCESS_LETTERS.findIndex((known) => known === letter);
    if (index < 0 || (bits & (1 << index)) !== 0) throw invalid(about, `'${access}' is not made of r, w and x, each at most once`);
    bits |= 1 << index;
  }
  return bits;
}

/** The letters of the bits; an empty string for none. */
export function accessText(bits: number): string {
  return ACCESS_LETTERS.filter((_, index) => (bits & (1 << index)) !== 0).join('');
}
