/** What is at the other side of a card: a cable to another card, or anything that takes packets and gives them. */

/** A card as its wire sees it. */
export interface Card {
  /** A packet comes in. With a promise the card has no room: it has taken the packet, or has no use for it any more, when that resolves. */
  receive(packet: Uint8Array, signal: AbortSignal): void | Promise<void>;
  /** The link came or went. */
  linkChanged(): void;
}

export interface Wire {
  /** There is somebody at the other end. */
  up(): boolean;
  /** Sends a packet; with a promise the other end has no room until that resolves. Whoever sent does not wait beyond `signal`. */
  send(packet: Uint8Array, signal: AbortSignal): void | Promise<void>;
  /** Plugs a card in; what is returned pulls it out. */
  plug(card: Card): () => void;
}

/** A cable, by its two ends. A packet for a card that is not there is lost. */
export function cable(): readonly [Wire, Wire] {
  const cards: [Card | undefined, Card | undefined] = [undefined, undefined];
  const up = (): boolean => cards[0] !== undefined && cards[1] !== undefined;
  const end = (mine: 0 | 1): Wire => {
    const other = mine === 0 ? 1 : 0;
    return {
      up,
      send: (packet, signal) => cards[other]?.receive(packet, signal),
      plug(card) {
        cards[mine] = card;
        if (up()) for (const one of cards) one?.linkChanged();
        return () => {
          if (cards[mine] !== card) return;
          cards[mine] = undefined;
          cards[other]?.linkChanged();
        };
      },
    };
  };
  return [end(0), end(1)];
}

/** Packets that have come and are not in memory yet. */
export interface Inbox {
  readonly length: number;
  put(packet: Uint8Array, signal: AbortSignal): void | Promise<void>;
  /** The oldest, which stays. */
  first(): Uint8Array | undefined;
  /** Takes the oldest out. */
  shift(): void;
  /** Drops all of them, those too that wait for room; how many. */
  clear(): number;
}

export function inbox(depth: number): Inbox {
  const packets: Uint8Array[] = [];
  const waiting = new Map<Uint8Array, () => void>();
  return {
    get length() {
      return packets.length;
    },
    put(packet, signal) {
      if (packets.length < depth) {
        packets.push(packet);
        return;
      }
      return new Promise((resolve) => {
        const give = (): void => {
          waiting.delete(packet);
          signal.removeEventListener('abort', give);
          resolve();
        };
        waiting.set(packet, give);
        signal.addEventListener('abort', give);
      });
    },
    first: () => packets[0],
    shift() {
      packets.shift();
      for (const [packet, give] of waiting) {
        if (packets.length >= depth) return;
        packets.push(packet);
        give();
      }
    },
    clear() {
      const dropped = packets.length + waiting.size;
      packets.length = 0;
      for (const give of waiting.values()) give();
      return dropped;
    },
  };
}
