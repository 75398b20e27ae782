/** Invariants 29 to 34 and 39: the reset round the window. */
import type { Defect } from '../defect.ts';

const RESET = 'machine/reset.ts';
const DONE = 'machine/done.ts';

export const resetSequenceDefects: readonly Defect[] = [
  {
    invariant: 29,
    file: RESET,
    find: "if (reply.kind === 'refused') {\n    endReset(m, task, reply);",
    replace: "if (reply.kind === 'refused') {\n    trigger(m, task);",
    why: 'a reset goes on although its prepare failed',
  },
  {
    invariant: 29,
    file: RESET,
    find: 'if (task.saved !== undefined && !fn.resetting && fn.linkDown === 0) {',
    replace: "if (task.saved !== undefined && !fn.resetting && fn.linkDown === 0 && reply.kind !== 'refused') {",
    why: 'a reset that fails leaves the function without its saved state',
  },
  {
    invariant: 30,
    file: RESET,
    find: 'const pending = transactionsPending(task.fn);',
    replace: 'const pending = transactionsPending(task.fn) && !task.window;',
    why: 'prepare does not await pending transactions',
  },
  {
    invariant: 30,
    file: RESET,
    find: '(request) => !request.posted && request.point',
    replace: '(request) => request.point',
    why: 'posted writes count as Transactions Pending',
  },
  {
    invariant: 30,
    file: RESET,
    find: '  sleep(m, task, FLR_WAIT_MS);',
    replace: '  close(m, task);',
    why: 'done follows the trigger before the function is ready',
  },
  {
    invariant: 33,
    file: RESET,
    find: 'const COMMAND_QUIET = 0x0400;',
    replace: 'const COMMAND_QUIET = 0x0404;',
    why: 'bus mastering stays on through the reset',
  },
  {
    invariant: 34,
    file: RESET,
    find: 'task.poll *= 2;',
    replace: 'task.poll += 10;',
    why: 'the readiness backoff is linear',
  },
  {
    invariant: 34,
    file: RESET,
    find: 'const READY_DELAY_MAX_MS = 60_000;',
    replace: 'const READY_DELAY_MAX_MS = 30_000;',
    why: 'a slow function is given up too early',
  },
  {
    invariant: 34,
    file: RESET,
    find: '    task.failed = true;\n',
    replace: '',
    why: 'a function that never got ready counts as reset',
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
    file: RESET,
    find: '  fn.needsReset = false;\n',
    replace: '',
    why: 'a reset that succeeds does not end the quarantine',
  },
];
