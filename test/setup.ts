/** Runs before all tests: says what is left out, and waits for the server that the tests are pointed at. */

const READY_WITHIN_MS = 30_000;
const RETRY_MS = 200;
/** Each folder of tests is a project of its own and sets up for itself, in one process. */
const SAID = 'IOMMUD_DATA_NOTE';

export default async function setup(): Promise<void> {
  if (process.env['IOMMUD_DATA'] === undefined && process.env[SAID] === undefined) {
    process.env[SAID] = 'yes';
    console.log('note: IOMMUD_DATA is not set; tests on real dumps and page tables are skipped and the own fixtures run');
  }
  const url = process.env['IOMMUD_URL'];
  if (url !== undefined) await waitUntilReady(url);
}

async function waitUntilReady(url: string): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  const ready = new URL('/readyz', url.replace(/^ws/, 'http'));
  for (;;) {
    const answer = await fetch(ready, { signal: AbortSignal.timeout(READY_WITHIN_MS) }).catch((error: unknown) => error);
    if (answer instanceof Response && answer.ok) return;
    if (Date.now() > deadline)
      throw new Error(`no ready service at ${ready.href} (IOMMUD_URL) within ${READY_WITHIN_MS} ms`, { cause: answer });
    await new Promise((resolve) => {
      setTimeout(resolve, RETRY_MS);
    });
  }
}
