import type { iommud } from '../../proto/index.ts';
import { ask, type CallOptions } from './ask.ts';
import { bdfText } from './bdf.ts';
import type { Channel } from './channel.ts';
import { codeOf, type ErrorCode } from './errors.ts';
import { ON_DEADLINE, RESET_METHOD, type OnDeadline, type ResetMethod } from './names.ts';
import { bigintOf, msOfNs, nsOfMs, numberOf } from './numbers.ts';
import { shown } from './shown.ts';
import { waited, type Waited } from './waited.ts';

export interface DrainOptions extends CallOptions {
  /** How long the drain may take on the machine's clock. */
  readonly deadlineMs: number;
  /** What happens to requests that are in flight then: they are dropped (`abort`, also when absent), or prepare fails with ETIMEDOUT. */
  readonly onDeadline?: OnDeadline;
}

export interface PrepareOptions extends DrainOptions {
  /** 1 to 64 characters. The same token gets the same answer, another nests. Absent: a new one. */
  readonly token?: string;
}

export interface ResetOptions extends DrainOptions {
  /** Need not be enabled. Absent: those that are (`reset_method`), one after the other, until one does not answer ENOTTY. */
  readonly method?: ResetMethod;
  /** False: without prepare and done, as Linux before 7.0. */
  readonly window?: boolean;
  /** EAGAIN where another reset is at work, instead of waiting for it. */
  readonly tryLock?: boolean;
}

export interface BusResetOptions extends CallOptions {
  /** Only where the bridge has a hot-plug slot. */
  readonly slot?: boolean;
  readonly tryLock?: boolean;
  /** Of the windows that `strict` opens; absent: 0. */
  readonly deadlineMs?: number;
  readonly onDeadline?: OnDeadline;
}

export interface BusResetReport extends WindowReport {
  /** What was reset, by address; bridges too. */
  readonly functions: readonly string[];
  /** What Linux would print. */
  readonly warning: string | undefined;
}

/** What came of one method; without an error it has reset the function. */
export interface ResetAttempt {
  readonly method: ResetMethod;
  readonly error: ErrorCode | undefined;
}

/** Reset methods that a probe found, or that are enabled now. */
export interface ResetMethods extends Waited {
  readonly methods: readonly ResetMethod[];
  /** What Linux would print. */
  readonly warning: string | undefined;
}

export interface IndeterminateRange {
  /** Physical. */
  readonly address: bigint;
  readonly bytes: number;
}

/** What a drain and a fence did. */
export interface WindowReport extends Waited {
  /** Windows that are open afterwards. */
  readonly depth: number;
  /** Requests that ended by themselves during the drain. */
  readonly drained: number;
  /** Requests that were dropped. */
  readonly aborted: number;
  /** Writes whose fate only their memory's owner knows. */
  readonly indeterminate: number;
  readonly indeterminateRanges: readonly IndeterminateRange[] | undefined;
  /** Invalidations that the fence waited for and that completed, or timed out. */
  readonly completed: number;
  readonly timedOut: number;
  /** True where prepare and done do nothing: no IOMMU, or (linux-7.1) no ATS. */
  readonly skipped: true | undefined;
}

export interface ResetReport extends WindowReport {
  /** The one that has reset the function. */
  readonly method: ResetMethod;
  /** Every method that was tried, where there was more than that one. */
  readonly tried: readonly ResetAttempt[] | undefined;
  /** Transactions were still pending after Linux's wait of 100 + 200 + 400 ms. */
  readonly pendingTimedOut: true | undefined;
  /** What Linux would print. */
  readonly warning: string | undefined;
}

export interface DoneReport extends Waited {
  /** Windows that are still open. */
  readonly depth: number;
  readonly skipped: true | undefined;
  /** What Linux would print. */
  readonly warning: string | undefined;
}

/** An open reset window. Disposing of it closes it, unless it was closed. */
export class ResetWindow implements AsyncDisposable {
  readonly token: string;
  readonly report: WindowReport;
  readonly #done: (options: CallOptions | undefined) => Promise<DoneReport>;
  #closed = false;

  constructor(token: string, report: WindowReport, done: (options: CallOptions | undefined) => Promise<DoneReport>) {
    this.token = token;
    this.report = report;
    this.#done = done;
  }

  /** Closes it; the last one gives the function its current domains back. What went wrong is its `warning`. Errors: ENODEV, EINVAL. */
  async done(options?: CallOptions): Promise<DoneReport> {
    const report = await this.#done(options);
    this.#closed = true;
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) await this.done();
  }
}

/** The reset calls of one function, by its packed place. */
export class Reset {
  readonly #channel: Channel;
  readonly #function: number;
  readonly #nextToken: () => string;

  constructor(channel: Channel, fn: number, nextToken: () => string) {
    this.#channel = channel;
    this.#function = fn;
    this.#nextToken = nextToken;
  }

  async prepare(options: PrepareOptions): Promise<ResetWindow> {
    const token = options.token ?? this.#nextToken();
    const { body } = await ask(this.#channel, 'resetPrepare', { function: this.#function, token, ...drain(options) }, options);
    return new ResetWindow(token, windowReport(body.report, body.elapsedNs), (doneOptions) => this.done({ token }, doneOptions));
  }

  async trigger(method: ResetMethod | undefined, options?: CallOptions): Promise<Waited> {
    const request = { function: this.#function, method: methodNumber(method) };
    const { body } = await ask(this.#channel, 'resetTrigger', request, options);
    return waited(body.elapsedNs);
  }

  async done(which: { readonly token: string } | { readonly all: true }, options?: CallOptions): Promise<DoneReport> {
    const { body } = await ask(this.#channel, 'resetDone', { function: this.#function, ...which }, options);
    return shown({
      depth: body.depth,
      elapsedMs: msOfNs(numberOf(body.elapsedNs)),
      skipped: body.skipped || undefined,
      warning: body.warning || undefined,
    });
  }

  async probe(options?: CallOptions): Promise<ResetMethods> {
    const { body } = await ask(this.#channel, 'resetProbe', { function: this.#function }, options);
    return methodsOf(body);
  }

  async setMethods(methods: string | readonly ResetMethod[], options?: CallOptions): Promise<ResetMethods> {
    const text = typeof methods === 'string' ? methods : methods.join(' ');
    const { body } = await ask(this.#channel, 'resetMethodsSet', { function: this.#function, methods: text }, options);
    return methodsOf(body);
  }

  async bus(options: BusResetOptions): Promise<BusResetReport> {
    const { slot, tryLock, deadlineMs, onDeadline } = options;
    const request = {
      function: this.#function,
      slot: slot ?? null,
      tryLock: tryLock ?? null,
      ...drain({ deadlineMs: deadlineMs ?? 0, ...(onDeadline === undefined ? {} : { onDeadline }) }),
    };
    const { body } = await ask(this.#channel, 'busReset', request, options);
    return shown({
      functions: body.functions.map(bdfText),
      ...windowReport(body.report, body.elapsedNs),
      warning: body.warning || undefined,
    });
  }

  async cold(options?: CallOptions): Promise<Waited> {
    const { body } = await ask(this.#channel, 'coldReset', { function: this.#function }, options);
    return waited(body.elapsedNs);
  }

  async whole(options: ResetOptions): Promise<ResetReport> {
    const request = {
      function: this.#function,
      method: methodNumber(options.method),
      window: options.window ?? null,
      tryLock: options.tryLock ?? null,
      ...drain(options),
    };
    const { body } = await ask(this.#channel, 'resetFunction', request, options);
    return shown({
      method: RESET_METHOD.nameOf(body.method),
      tried: body.tried.length > 1 ? body.tried.map(attempt) : undefined,
      ...windowReport(body.report, body.elapsedNs),
      pendingTimedOut: body.pendingTimedOut || undefined,
      warning: body.warning || undefined,
    });
  }
}

function methodNumber(method: ResetMethod | undefined): number | null {
  return method === undefined ? null : RESET_METHOD.numberOf(method, 'method');
}

function attempt({ method, error }: iommud.v1.ResetAttempt.$Properties): ResetAttempt {
  return { method: RESET_METHOD.nameOf(method ?? 0), error: error ? codeOf(error) : undefined };
}

function drain(options: DrainOptions): Pick<iommud.v1.ResetPrepare, 'deadlineNs' | 'onDeadline'> {
  return {
    deadlineNs: nsOfMs(options.deadlineMs, 'deadlineMs'),
    onDeadline: options.onDeadline === undefined ? null : ON_DEADLINE.numberOf(options.onDeadline, 'onDeadline'),
  };
}

function methodsOf(body: iommud.v1.ResetProbeReply): ResetMethods {
  return shown({
    methods: body.methods.map((method) => RESET_METHOD.nameOf(method)),
    elapsedMs: msOfNs(numberOf(body.elapsedNs)),
    warning: body.warning || undefined,
  });
}

function windowReport(report: iommud.v1.WindowReport, elapsedNs: iommud.v1.ResetPrepareReply['elapsedNs']): WindowReport {
  const ranges = report.indeterminateRanges.map((range) => ({
    address: range.address ? bigintOf(range.address) : 0n,
    bytes: range.bytes ?? 0,
  }));
  return shown({
    depth: report.depth,
    drained: report.drained,
    aborted: report.aborted,
    indeterminate: report.indeterminate,
    indeterminateRanges: ranges.length === 0 ? undefined : ranges,
    completed: report.completed,
    timedOut: report.timedOut,
    elapsedMs: msOfNs(numberOf(elapsedNs)),
    skipped: report.skipped || undefined,
  });
}
