import type { FunctionHandle } from '../../client/src/index.ts';

/** Longest wait for a request to be in the ledger, wall clock. */
const SOON_MS = 5000;

/** Resolves when so many requests of the function are in its ledger: what it was told to do from elsewhere gets there behind the back of whoever told it. */
export async function untilInFlight(dev: Pick<FunctionHandle, 'bdf' | 'ledger'>, requests = 1): Promise<void> {
  const until = performance.now() + SOON_MS;
  while ((await dev.ledger()).length < requests) {
    if (performance.now() > until) throw new Error(`${dev.bdf} has not ${requests} requests in flight after ${SOON_MS} ms`);
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}
