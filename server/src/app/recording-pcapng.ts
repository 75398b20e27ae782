/** A recording as packets: tshark and Wireshark decode them with client/wireshark/iommud.lua and the .proto files. */
import { pcapngHeader, pcapngInterface, pcapngPacket } from '../observe/index.ts';
import { RecordingFeed, type Record } from '../rpc/index.ts';

/**
 * Makes pcapng of a recording as it comes. Every record is a packet of its connection's interface; the first two are everybody's and the
 * service's own.
 */
export class RecordingPcapng {
  readonly #feed = new RecordingFeed();
  readonly #interfaces = new Map<number | string | undefined, number>();
  #pieces: Uint8Array[] = [];

  /** What more there is of the file. Throws ModelError EINVAL that says what is wrong with the recording. */
  push(chunk: Uint8Array): Uint8Array {
    const { start, records } = this.#feed.push(chunk);
    if (start !== undefined) {
      const { name, behaviour, clock, seed, productVersion, peers } = start;
      this.#pieces.push(pcapngHeader(`iommud ${productVersion}`, `machine ${name}, ${behaviour}, clock ${clock}, seed ${seed}`));
      this.#addInterface(undefined, 'everybody', 'what the machine tells every host and observer');
      this.#addInterface(0, 'service', 'commands by REST');
      for (const { id, client } of peers) this.#addInterface(id, `peer ${id}`, client);
    }
    for (const { bytes, record } of records) {
      const { peer, connection, what, timeNs } = record;
      const client = what.kind === 'arrived' ? what.arrived.client : '';
      // A connection has no peer before its Hello is granted.
      const of = peer === undefined && connection !== undefined ? `connection ${connection}` : peer;
      const at = this.#interfaces.get(of) ?? this.#addInterface(of, typeof of === 'string' ? of : `peer ${of}`, client);
      this.#pieces.push(pcapngPacket(at, timeNs, directionOf(record), bytes));
    }
    const made = Buffer.concat(this.#pieces);
    this.#pieces = [];
    return made;
  }

  /** Nothing follows. Throws ModelError EINVAL where more should; `partial`: it need not have its end. */
  finish(partial: boolean): void {
    this.#feed.finish(partial);
  }

  #addInterface(peer: number | string | undefined, name: string, description: string): number {
    const number = this.#interfaces.size;
    this.#interfaces.set(peer, number);
    this.#pieces.push(pcapngInterface(name, description));
    return number;
  }
}

/** As the machine sees it. */
function directionOf({ what }: Record): 'in' | 'out' | undefined {
  if (what.kind === 'received' || what.kind === 'session-received' || what.kind === 'command') return 'in';
  return what.kind === 'sent' || what.kind === 'session-sent' || what.kind === 'reply' ? 'out' : undefined;
}
