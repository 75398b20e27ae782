/**
 * One who takes part in machines, as a program of its own that can be killed. What it does it is told, by messages: `{ id, deed, at, … }`, where `at` is a name
 * for the place that it has in a machine. It says `ready`, and of each deed `{ id, value }` or `{ id, code }`.
 */
import { IommudError, connect, type ClaimedFunction, type Connection, type ResetWindow } from '../../client/src/index.ts';
import type { Deed } from '../kit/peer-process.ts';

const PAGE_BYTES = 4096;

/** An owner of memory: it performs writes when it is told to, or at once. */
interface Page {
  readonly bytes: Uint8Array;
  readonly waiting: (() => void)[];
  slow: boolean;
}

interface Place {
  readonly connection: Connection;
  fn?: ClaimedFunction;
  resets?: string[];
  page?: Page;
  window?: ResetWindow;
}

const places = new Map<string, Place>();

function place(at: string): Place {
  const found = places.get(at);
  if (found === undefined) throw new Error(`it has no place ${at}`);
  return found;
}

function playing({ fn }: Place): ClaimedFunction {
  if (fn === undefined) throw new Error('it plays no function');
  return fn;
}

async function claim(at: string, url: string, bdf: string): Promise<unknown> {
  const connection = await connect(url, { roles: ['device'] });
  const resets: string[] = [];
  const fn = await connection.claimDevice(bdf, { onReset: (method) => void resets.push(method) }, { atc: 'peer' });
  places.set(at, { connection, fn, resets });
  return fn.restarted;
}

async function own(at: string, url: string, address: string, slow: boolean): Promise<void> {
  const connection = await connect(url, { roles: ['memory'] });
  const start = BigInt(address);
  const page: Page = { bytes: new Uint8Array(PAGE_BYTES), waiting: [], slow };
  await connection.serveMemory(
    { address: start, bytes: PAGE_BYTES },
    {
      read: (from, bytes) => page.bytes.slice(Number(from - start), Number(from - start) + bytes),
      async write(to, data) {
        if (page.slow) await new Promise<void>((resolve) => page.waiting.push(resolve));
        page.bytes.set(data, Number(to - start));
      },
    },
  );
  places.set(at, { connection, page });
}

function letGo({ page }: Place): void {
  if (page === undefined) throw new Error('it owns no memory');
  page.slow = false;
  for (const resolve of page.waiting.splice(0)) resolve();
}

async function prepare(at: Place, bdf: string, deadlineMs: number): Promise<unknown> {
  at.window = await at.connection.machine.function(bdf).resetPrepare({ deadlineMs, onDeadline: 'abort' });
  const { depth, drained, aborted, indeterminate } = at.window.report;
  return { depth, drained, aborted, indeterminate };
}

async function done({ window }: Place): Promise<unknown> {
  if (window === undefined) throw new Error('it has no window');
  const { depth, warning } = await window.done();
  return { depth, warning };
}

async function perform(deed: Deed): Promise<unknown> {
  switch (deed.deed) {
    case 'claim':
      return claim(deed.at, deed.url, deed.bdf);
    case 'own':
      return own(deed.at, deed.url, deed.address, deed.slow);
    case 'host':
      places.set(deed.at, { connection: await connect(deed.url, { roles: ['host'] }) });
      return undefined;
    case 'write':
      return (await playing(place(deed.at)).dma.write(deed.iova, new TextEncoder().encode(deed.text))).outcome;
    case 'translate':
      return (await playing(place(deed.at)).ats.translate(deed.iova, { write: true })).outcome;
    case 'resets':
      return place(deed.at).resets;
    case 'let-go':
      letGo(place(deed.at));
      return undefined;
    case 'content':
      return new TextDecoder().decode(place(deed.at).page?.bytes.slice(0, deed.bytes));
    case 'prepare':
      return prepare(place(deed.at), deed.bdf, deed.deadlineMs);
    case 'done':
      return done(place(deed.at));
  }
}

process.on('message', ({ id, deed }: { readonly id: number; readonly deed: Deed }) => {
  perform(deed).then(
    (value) => process.send?.({ id, value }),
    (error: unknown) => process.send?.({ id, code: error instanceof IommudError ? error.code : String(error) }),
  );
});
// Whoever started it is gone.
process.on('disconnect', () => process.exit());
process.send?.('ready');
