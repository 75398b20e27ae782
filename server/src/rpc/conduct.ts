import { CLOSE, type CloseCode } from '../../../proto/index.ts';
/** What a peer does wrong, counted: a wrong answer is noted and the call that it was for ends in an error; too many of them end the connection. */
import { PEER_MISTAKES_MAX, PEER_REFUSALS_MAX } from '../../../proto/limits.ts';
import { isGated, type Reply, type Unserved } from '../core/machine/index.ts';

/** Refusals of which asking again is the cure. */
const PASSING: readonly string[] = ['EAGAIN'];

export interface ConductPort {
  /** It has made a mistake; `count`: so many by now. */
  noted(why: string, count: number): void;
  close(code: CloseCode, why: string): void;
}

export class Conduct {
  readonly #port: ConductPort;
  #mistakes = 0;
  #refusedInRow = 0;
  /** It does nothing but play functions and own memory: who explores a machine may be refused as often as wanted. */
  #isWorker = false;

  constructor(port: ConductPort) {
    this.#port = port;
  }

  get mistakes(): number {
    return this.#mistakes;
  }

  get isWorker(): boolean {
    return this.#isWorker;
  }
  set isWorker(worker: boolean) {
    this.#isWorker = worker;
  }

  /** An answer that fits no call, or not its call. */
  mistake(why: string): void {
    this.#mistakes++;
    this.#port.noted(why, this.#mistakes);
    if (this.#mistakes >= PEER_MISTAKES_MAX) this.#port.close(CLOSE.order, `${PEER_MISTAKES_MAX} wrong answers; the last: ${why}`);
  }

  /** The machine's answer. DMA that its function may not do is as a refusal, though an outcome and no error. */
  replied(reply: Reply): void {
    if (reply.kind === 'refused') this.answered(reply.code, reply.message);
    else if (!isGated(reply)) this.answered();
    else this.answered('gate-closed', 'DMA of a function that is blocked, resetting, or has no Bus Master Enable');
  }

  /** What the machine has counted where no reply says it. */
  unserved(counted: Unserved | undefined): void {
    if (!this.#isWorker || counted === undefined || counted.unserved < PEER_REFUSALS_MAX) return;
    this.#port.close(CLOSE.limits, `${PEER_REFUSALS_MAX} calls in a row came to nothing; the last: ${counted.unservedWhy}`);
  }

  /** A call of it was answered; `code`: with this error. */
  answered(code?: string, why = ''): void {
    if (code === undefined) {
      this.#refusedInRow = 0;
      return;
    }
    if (!this.#isWorker || PASSING.includes(code) || ++this.#refusedInRow < PEER_REFUSALS_MAX) return;
    this.#port.close(CLOSE.limits, `${PEER_REFUSALS_MAX} calls in a row were refused; the last: ${why}`);
  }
}
