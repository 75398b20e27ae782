import type { Load, Outcome } from '../../harness/index.ts';

/**
 * Keeps `depth` calls outstanding; each one that is answered is followed by the next. Rejects with the first call that rejects. No closure is
 * made for a call, so that what is measured is the call.
 */
export function exchangePromises(call: () => Promise<unknown>, load: Load): Promise<Outcome> {
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
