/** Invariants 29 to 34, 39 and 41: the reset round the window. */
import type { Defect } from '../defect.ts';

const SEQUENCE = 'machine/reset/reset.ts';
const STEPS = 'machine/reset/reset-steps.ts';
const METHODS = 'machine/reset/reset-methods.ts';
const STATE = 'machine/reset/reset-state.ts';
const READINESS = 'machine/reset/readiness.ts';
const DONE = 'machine/reset/done.ts';

export const resetSequenceDefects: readonly Defect[] = [
  {
    invariant: 29,
    file: 'machine/reset/reset-windows.ts',
    find: "if (reply.kind === 'refused') task.error ??= reply;",
    replace: "if (reply.kind === 'refused') task.warning = reply.message;",
    why: 'a reset goes on although its prepare failed',
  },
  {
    invariant: 29,
    file: STEPS,
    find: 'restore: { undoes: true, run: restoreAll },',
    replace: 'restore: { run: restoreAll },',
    why: 'a reset that fails leaves the function without its saved state',
  },
  {
    invariant: 29,
    file: STEPS,
    find: "'announce-end': { undoes: true, run:",
    replace: "'announce-end': { run:",
    why: 'the driver is not told of the end of a reset that failed',
  },
  {
    invariant: 30,
    file: STEPS,
    find: 'const pending = transactionsPending(fn);',
    replace: 'const pending = transactionsPending(fn) && !task.request.window;',
    why: 'prepare does not await pending transactions',
  },
  {
    invariant: 30,
    file: STEPS,
    find: '(request) => !request.posted && request.point',
    replace: '(request) => request.point',
    why: 'posted writes count as Transactions Pending',
  },
  {
    invariant: 30,
    file: METHODS,
    find: "(['flr-time', 'ready'] as const)",
    replace: '([] as const)',
    why: 'done follows the trigger before the function is ready',
  },
  {
    invariant: 31,
    file: SEQUENCE,
    find: "return error.code !== 'ENOTTY';",
    replace: 'return true;',
    why: 'ENOTTY stops the walk',
  },
  {
    invariant: 31,
    file: SEQUENCE,
    find: "return error.code !== 'ENOTTY';",
    replace: 'return false;',
    why: 'the walk goes on after an error that is not ENOTTY',
  },
  {
    invariant: 31,
    file: SEQUENCE,
    find: 'if (error === undefined) return !isProbe(request.goal);',
    replace: 'if (error === undefined) return isProbe(request.goal) && error !== undefined;',
    why: 'the walk goes on after success',
  },
  {
    invariant: 32,
    file: METHODS,
    find: 'return fn.resetMethods ?? supportedMethods(m, fn);',
    replace: 'return supportedMethods(m, fn).filter((one) => fn.resetMethods?.includes(one) ?? true);',
    why: 'an override changes which methods there are, and not their order',
  },
  {
    invariant: 32,
    file: METHODS,
    find: 'return fn.resetMethods ?? supportedMethods(m, fn);',
    replace: 'return fn.resetMethods?.length ? fn.resetMethods : supportedMethods(m, fn);',
    why: 'an empty override is none',
  },
  {
    invariant: 33,
    file: STATE,
    find: 'const COMMAND_QUIET = 0x0400;',
    replace: 'const COMMAND_QUIET = 0x0404;',
    why: 'bus mastering stays on through the reset',
  },
  {
    invariant: 34,
    file: READINESS,
    find: 'task.poll *= 2;',
    replace: 'task.poll += 10;',
    why: 'the readiness backoff is linear',
  },
  {
    invariant: 34,
    file: READINESS,
    find: 'export const READY_MS = 60_000;',
    replace: 'export const READY_MS = 30_000;',
    why: 'a slow function is given up too early',
  },
  {
    invariant: 34,
    file: STEPS,
    find: "  return fail(task, 'ENOTTY', task.warning);",
    replace: "  return 'next';",
    why: 'a function that never got ready counts as reset',
  },
  {
    invariant: 34,
    file: READINESS,
    find: '  if (isDisconnected(fn)) {',
    replace: '  if (isDisconnected(fn) && fn.resetting && task.poll > limitMs) {',
    why: 'one that is disconnected is waited for, or taken for ready',
  },
  {
    invariant: 39,
    file: DONE,
    find: 'task.stays = m.strict && fn.needsReset;',
    replace: 'task.stays = m.strict && fn.needsReset && device.resetDepth > 0;',
    why: 'done opens a function whose reset failed',
  },
  {
    invariant: 39,
    file: DONE,
    find: 'task.stays = m.strict && fn.needsReset;',
    replace: 'task.stays = fn.needsReset;',
    why: 'linux-7.1 quarantines, which Linux only proposes',
  },
  {
    invariant: 39,
    file: 'machine/reset/hardware-reset.ts',
    find: '  fn.needsReset = false;\n',
    replace: '',
    why: 'a reset that succeeds does not end the quarantine',
  },
  {
    invariant: 41,
    file: STEPS,
    find: "return !m.strict && row.probePrepares(fn) ? ['prepare', 'done'] : [];",
    replace: "return row.probePrepares(fn) ? ['prepare', 'done'] : [];",
    why: 'strict opens a window where it only probes',
  },
  {
    invariant: 41,
    file: STEPS,
    find: "return !m.strict && row.probePrepares(fn) ? ['prepare', 'done'] : [];",
    replace: 'return [];',
    why: 'linux-7.1 probes without the window that Linux opens',
  },
];
