import type { Calls } from '../../../proto/index.ts';
import { RESET_METHODS_CHARS_MAX, WINDOW_TOKEN_CHARS_MAX } from '../../../proto/limits.ts';
/** Calls about resets and windows, to commands of the machine. */
import type { Command } from '../core/machine/index.ts';
import { METHODS, ON_DEADLINE } from './enums.ts';
import { invalid, missing } from './errors.ts';
import { needFunction, needNumber, needText, needWord, optionalNumber, optionalWord } from './fields.ts';

type Body<K extends keyof Calls> = Calls[K]['decoded'];
const HOST = ['host'] as const;

export const RESET_ROWS = {
  resetPrepare: {
    roles: HOST,
    decode: (b: Body<'resetPrepare'>) => ({
      kind: 'reset-prepare',
      bdf: needFunction(b.function),
      token: needText(b.token, 'token', WINDOW_TOKEN_CHARS_MAX),
      deadlineNs: needNumber(b.deadlineNs, 'deadline_ns'),
      onDeadline: optionalWord(b.onDeadline, 'on_deadline', ON_DEADLINE) ?? 'abort',
    }),
  },
  resetTrigger: {
    roles: HOST,
    decode: (b: Body<'resetTrigger'>) => ({ kind: 'reset-trigger', bdf: needFunction(b.function), method: methodOf(b.method) }),
  },
  resetDone: {
    roles: HOST,
    decode: (b: Body<'resetDone'>) => {
      const all = b.all ?? false;
      const token = all && b.token === null ? '' : needText(b.token, 'token', WINDOW_TOKEN_CHARS_MAX);
      return { kind: 'reset-done', bdf: needFunction(b.function), token, all };
    },
  },
  resetFunction: {
    roles: HOST,
    decode: (b: Body<'resetFunction'>) => ({
      kind: 'reset',
      bdf: needFunction(b.function),
      method: methodOf(b.method),
      window: b.window ?? true,
      deadlineNs: needNumber(b.deadlineNs, 'deadline_ns'),
      onDeadline: optionalWord(b.onDeadline, 'on_deadline', ON_DEADLINE) ?? 'abort',
      ...(b.tryLock === null ? {} : { tryLock: b.tryLock }),
    }),
  },
  resetProbe: { roles: HOST, decode: (b: Body<'resetProbe'>) => ({ kind: 'reset-probe', bdf: needFunction(b.function) }) },
  resetMethodsSet: {
    roles: HOST,
    decode: (b: Body<'resetMethodsSet'>) => ({ kind: 'reset-methods-set', bdf: needFunction(b.function), methods: namesOf(b.methods) }),
  },
  busReset: {
    roles: HOST,
    decode: (b: Body<'busReset'>) => ({
      kind: 'bus-reset',
      bdf: needFunction(b.function),
      slot: b.slot ?? false,
      tryLock: b.tryLock ?? false,
      deadlineNs: optionalNumber(b.deadlineNs, 'deadline_ns'),
      onDeadline: optionalWord(b.onDeadline, 'on_deadline', ON_DEADLINE) ?? 'abort',
    }),
  },
  coldReset: {
    roles: HOST,
    decode: (b: Body<'coldReset'>) => ({ kind: 'cold-reset', bdf: b.function === null ? undefined : needFunction(b.function) }),
  },
} as const satisfies Readonly<Record<string, { readonly roles: readonly string[]; readonly decode: (b: never) => Command }>>;

function methodOf(method: Body<'resetTrigger'>['method']): Extract<Command, { kind: 'reset-trigger' }>['method'] {
  return method === null ? undefined : needWord(method, 'method', METHODS);
}

/** It may be empty, and must be there. */
function namesOf(names: Body<'resetMethodsSet'>['methods']): string {
  if (names === null) throw missing('methods');
  if (names.length > RESET_METHODS_CHARS_MAX) {
    throw invalid('methods', `has ${names.length} characters; at most ${RESET_METHODS_CHARS_MAX} are allowed`);
  }
  return names;
}
