/** What resets and windows answer, to bodies of the wire. */
import { u64FromBigint, u64FromNumber } from '../../../proto/index.ts';
import { ERRORS } from '../core/base/index.ts';
import type { Reply, ResetAttempt, WindowReport } from '../core/machine/index.ts';
import { METHODS } from './enums.ts';
import type { Send } from './send.ts';

type ResetReply = Extract<Reply, { kind: 'reset-prepare' | 'reset-done' | 'reset' | 'reset-methods' | 'bus-reset' }>;

export function resetBody(reply: ResetReply): object {
  const elapsedNs = u64FromNumber(reply.elapsedNs);
  switch (reply.kind) {
    case 'reset-prepare':
      return { report: windowReport(reply), elapsedNs } satisfies Send<'ResetPrepareReply'>;
    case 'reset-done': {
      const { depth, skipped, warning } = reply;
      return { depth, skipped, warning, elapsedNs } satisfies Send<'ResetDoneReply'>;
    }
    case 'reset':
      return {
        method: METHODS.number[reply.method],
        pendingTimedOut: reply.pendingTimedOut,
        warning: reply.warning,
        report: windowReport(reply),
        elapsedNs,
        tried: reply.tried.map(attempt),
      } satisfies Send<'ResetFunctionReply'>;
    case 'reset-methods':
      // ResetMethodsSetReply is alike.
      return {
        methods: reply.methods.map((method) => METHODS.number[method]),
        elapsedNs,
        warning: reply.warning,
      } satisfies Send<'ResetProbeReply'>;
    case 'bus-reset':
      return {
        functions: [...reply.functions],
        report: windowReport(reply),
        warning: reply.warning,
        elapsedNs,
      } satisfies Send<'BusResetReply'>;
  }
}

function attempt({ method, error }: ResetAttempt): Send<'ResetAttempt'> {
  return { method: METHODS.number[method], error: error === undefined ? null : ERRORS[error].wire };
}

function windowReport(report: WindowReport): Send<'WindowReport'> {
  return {
    skipped: report.skipped,
    depth: report.depth,
    drained: report.drained,
    aborted: report.aborted,
    indeterminate: report.indeterminate,
    indeterminateRanges: report.indeterminateRanges.map(({ address, bytes }) => ({ address: u64FromBigint(address), bytes })),
    completed: report.completed,
    timedOut: report.timedOut,
  };
}
