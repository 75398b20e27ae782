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

/** What is in the memory stays, whatever becomes of the connection. */
async function own(at: string, url: string, address: string, slow: boolean): Promise<void> {
  const connection = await connect(url, { roles: ['memory'] });
  const start = BigInt(address);
  const page: Page = { bytes: places.get(at)?.page?.bytes ?? new Uint8Array(PAGE_BYTES), waiting: [], slow };
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

function owned({ page }: Place): Page {
  if (page === undefined) throw new Error('it owns no memory');
  return page;
}

function letGo(page: Page): void {
  page.slow = false;
  for (const resolve of page.waiting.splice(0)) resolve();
}

/** The same token gets the same answer, also from another connection. */
async function prepare(at: Place, { bdf, deadlineMs, token }: Extract<Deed, { deed: 'prepare' }>): Promise<unknown> {
  const options = { deadlineMs, onDeadline: 'abort', ...(token === undefined ? {} : { token }) } as const;
  at.window = await at.connection.machine.function(bdf).resetPrepare(options);
  const { depth, drained, aborted, indeterminate } = at.window.report;
  return { depth, drained, aborted, indeterminate };
}

/** Its own window, or where it was connected anew whatever is open. */
async function done({ window, connection }: Place, bdf: string): Promise<unknown> {
  const { depth, warning } = await (window === undefined ? connection.machine.function(bdf).resetDone({ all: true }) : window.done());
  return { depth, warning };
}

async function remap({ connection }: Place, { bdf, iova, address }: Extract<Deed, { deed: 'remap' }>): Promise<void> {
  const { dma } = connection.machine.function(bdf);
  await dma.unmap({ iova, bytes: PAGE_BYTES });
  await dma.map({ iova, address: BigInt(address), bytes: PAGE_BYTES, access: 'rw' });
}

async function reset({ connection }: Place, bdf: string): Promise<unknown> {
  const { method, drained, aborted, indeterminate } = await connection.machine.function(bdf).reset({ method: 'flr', deadlineMs: 10 });
  return { method, drained, aborted, indeterminate };
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
      letGo(owned(place(deed.at)));
      return undefined;
    case 'slow':
      owned(place(deed.at)).slow = true;
      return undefined;
    case 'content':
      return new TextDecoder().decode(owned(place(deed.at)).bytes.slice(0, deed.bytes));
    case 'prepare':
      return prepare(place(deed.at), deed);
    case 'done':
      return done(place(deed.at), deed.bdf);
    case 'remap':
      return remap(place(deed.at), deed);
    case 'reset':
      return reset(place(deed.at), deed.bdf);
    case 'leave':
      await place(deed.at).connection.close();
      return undefined;
    case 'gone':
      await place(deed.at).connection.closed;
      return undefined;
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
