/** Closed loops of a given depth: what keeps the measures and their floors equally busy. */
import { quantile } from './statistics.ts';

export interface Load {
  /** Requests outstanding at any time. */
  readonly depth: number;
  /** New requests are issued for so long; those outstanding then are awaited and counted. */
  readonly seconds: number;
}

export interface Outcome {
  readonly completed: number;
  readonly seconds: number;
  /** Time of each exchange in seconds, at depth 1; empty at other depths. */
  readonly latencies: readonly number[];
}

/** Something that sends requests in batches and tells how many replies came in a tick. */
export interface Link {
  /** Sends so many requests, in one write where the wire allows. */
  send(count: number): void;
  /** Set by {@link exchange}: so many replies have arrived. */
  onReplies: (count: number) => void;
  /** Set by {@link exchange}: the link broke. */
  onError: (error: Error) => void;
}

/** Keeps `depth` requests outstanding on a link; each reply is answered by the next request in the same tick. */
export function exchange(link: Link, load: Load): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const latencies: number[] = [];
    const started = performance.now();
    const deadline = started + load.seconds * 1000;
    let inFlight = load.depth;
    let completed = 0;
    let sentAt = started;
    link.onError = reject;
    link.onReplies = (count) => {
      const now = performance.now();
      completed += count;
      inFlight -= count;
      if (load.depth === 1) latencies.push((now - sentAt) / 1000);
      if (now < deadline) {
        inFlight += count;
        sentAt = now;
        link.send(count);
      } else if (inFlight === 0) {
        resolve({ completed, seconds: (now - started) / 1000, latencies });
      }
    };
    link.send(load.depth);
  });
}

/**
 * The same for a call that returns a promise. Rejects with the first call that rejects. No closure is made for a call, so that what is
 * measured is the call.
 */
export function exchangeCalls(call: () => Promise<unknown>, load: Load): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const latencies: number[] = [];
    const started = performance.now();
    const deadline = started + load.seconds * 1000;
    let inFlight = load.depth;
    let completed = 0;
    let sentAt = started;
    const replied = (): void => {
      const now = performance.now();
      completed++;
      if (load.depth === 1) latencies.push((now - sentAt) / 1000);
      sentAt = now;
      if (now < deadline) call().then(replied, reject);
      else if (--inFlight === 0) resolve({ completed, seconds: (now - started) / 1000, latencies });
    };
    for (let i = 0; i < load.depth; i++) call().then(replied, reject);
  });
}

/** Exchanges per second. */
export function rate(outcome: Outcome): number {
  return outcome.completed / outcome.seconds;
}

/** Payload bytes per second, of exchanges that carry so many. */
export function throughput(outcome: Outcome, bytes: number): number {
  return (outcome.completed * bytes) / outcome.seconds;
}

/** Median time of an exchange in seconds. The load must have had depth 1. */
export function p50(outcome: Outcome): number {
  return quantile(outcome.latencies, 0.5);
}
