/** What a reset answers when it has ended. */
import { RESET_METHODS, formatBdf, type ResetMethod } from '../../base/index.ts';
import type { Parts } from '../parts.ts';
import type { Reply, WindowReport } from '../reply.ts';
import type { ResetRequest, ResetTask } from '../state.ts';
import { supportedMethods } from './reset-methods.ts';

/** It only looks: nothing is reset. */
export function isProbe(goal: ResetRequest['goal']): boolean {
  return goal === 'probe' || goal === 'reprobe' || goal === 'set-methods';
}

export function replyOf(m: Parts, task: ResetTask): Reply {
  const { request, fn, error, method, warning, origin, pendingTimedOut, tried } = task;
  const elapsedNs = m.outbox.elapsed(origin);
  if (isProbe(request.goal)) return methodsReply(m, task);
  if (error !== undefined) return { kind: 'refused', code: error.code, message: error.message, about: 'method', elapsedNs };
  const report = withoutKind(task.report);
  if (request.goal === 'bus' || request.goal === 'slot') {
    const functions = task.functions.map(({ bdf }) => bdf);
    return { kind: 'bus-reset', functions, warning, ...report, depth: 0, elapsedNs };
  }
  if (!request.whole) return { kind: 'ok', elapsedNs };
  const depth = fn.device?.resetDepth ?? 0;
  return { kind: 'reset', method: method!, tried, pendingTimedOut, warning, ...report, depth, elapsedNs };
}

/**
 * pci_init_reset_methods() takes those that a probe finds, and ends where a probe fails for another reason; reset_method_store() takes nothing then. A
 * write that puts another method before the quirk is warned of.
 */
function methodsReply(m: Parts, task: ResetTask): Reply {
  const { request, fn, error, tried, origin } = task;
  const elapsedNs = m.outbox.elapsed(origin);
  const supported = supportedMethods(m, fn);
  const found = tried.filter((one) => one.error === undefined && supported.includes(one.method)).map((one) => one.method);
  if (request.goal === 'set-methods') {
    if (error !== undefined) return { kind: 'refused', code: 'EINVAL', message: error.message, about: 'methods', elapsedNs };
  }
  if (request.goal !== 'probe') fn.resetMethods = found;
  const warning = request.goal === 'set-methods' ? lessOften(supported, found) : '';
  const text = warning === '' ? '' : `${formatBdf(fn.bdf)}: ${warning}`;
  if (text !== '') m.outbox.log('warn', fn.bdf, text);
  return { kind: 'reset-methods', methods: found, warning: text, elapsedNs };
}

function lessOften(supported: readonly ResetMethod[], found: readonly ResetMethod[]): string {
  if (found.length === 0) return 'all device reset methods disabled by user';
  const [first] = RESET_METHODS;
  return supported.includes(first) && found[0] !== first ? 'device-specific reset disabled/de-prioritized by user' : '';
}

function withoutKind(report: WindowReport): WindowReport {
  const { skipped, depth, drained, aborted, indeterminate, indeterminateRanges, completed, timedOut } = report;
  return { skipped, depth, drained, aborted, indeterminate, indeterminateRanges, completed, timedOut };
}
