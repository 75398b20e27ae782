/** A machine's events as server-sent events (WHATWG HTML §9.2): each has its class as `event` and a JSON object as `data`. */
import { PassThrough, type Readable } from 'node:stream';
import { formatBdf, type Bdf } from '../core/base/index.ts';
import type { MachineEvent } from '../core/machine/index.ts';
import type { MachineHost } from '../rpc/index.ts';

/** Bytes that wait for a slow reader; then events are dropped, and `lost` says how many. */
const BUFFERED_MAX = 1 << 20;
/** A comment that keeps proxies from ending a stream that says nothing. */
const KEEP_ALIVE_MS = 15_000;

const PLACES = new Set(['bdf', 'port', 'root', 'contained']);

/** `classes`: undefined is all. Ends when nobody reads it any more, and with the machine. */
export function eventStream(host: MachineHost, classes: ReadonlySet<string> | undefined): Readable {
  const stream = new PassThrough();
  let lost = 0;
  const say = (name: string, data: object): void => {
    if (stream.writableLength + stream.readableLength > BUFFERED_MAX) lost++;
    else stream.write(`event: ${name}\ndata: ${JSON.stringify(data, shown)}\n\n`);
  };
  const quiet = host.listen(
    (event) => {
      if (classes?.has(event.kind) === false) return;
      if (lost > 0 && stream.writableLength + stream.readableLength === 0) {
        say('lost', { count: lost });
        lost = 0;
      }
      say(event.kind, view(event));
    },
    () => stream.end(),
  );
  const keepAlive = setInterval(() => stream.write(': nothing\n\n'), KEEP_ALIVE_MS).unref();
  stream.write(': the events of a machine\n\n');
  stream.once('close', () => {
    clearInterval(keepAlive);
    quiet();
  });
  return stream;
}

function view(event: MachineEvent): object {
  const { kind: _, ...of } = event;
  const { bdf, ...rest } = { bdf: undefined, ...of };
  return bdf === undefined ? rest : { function: formatBdf(bdf), ...rest };
}

/** Addresses as text, as everywhere in REST. */
function shown(key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  return PLACES.has(key) && typeof value === 'number' ? formatBdf(value as Bdf) : value;
}
