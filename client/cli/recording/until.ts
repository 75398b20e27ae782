/** When something that goes on by itself is to end. */
import { InvalidArgumentError } from 'commander';

export interface Until {
  readonly seconds?: number;
}

const SECONDS_MAX = 1_000_000;

/** Of wall clock, more than 0. */
export function seconds(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0 || value > SECONDS_MAX)
    throw new InvalidArgumentError(`It is no number of seconds up to ${SECONDS_MAX}.`);
  return value;
}

/** Calls `stop` once, on Ctrl-C, SIGTERM or after the time; the returned function is called when it has ended. A second Ctrl-C ends the process, as ever. */
export function endsOn({ seconds: after }: Until, stop: () => void): () => void {
  const timer = after === undefined ? undefined : setTimeout(once, after * 1000);
  process.once('SIGINT', once);
  process.once('SIGTERM', once);
  function once(): void {
    forget();
    stop();
  }
  function forget(): void {
    clearTimeout(timer);
    process.off('SIGINT', once);
    process.off('SIGTERM', once);
  }
  return forget;
}
