/** `Idempotency-Key`: a request that is sent again gets the first one's answer, and nothing is done twice. */
import { createHash } from 'node:crypto';
import { Refusal } from './refusal.ts';

/** Answers that are kept; the oldest go first. Some hours of a busy harness. */
const ANSWERS_MAX = 10_000;
/** RFC 8941 strings have no bound; a UUID has 36. */
export const KEY_CHARS_MAX = 128;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** The machine that was made: the answer is forgotten with it. */
  readonly made?: string;
}

interface Kept {
  readonly fingerprint: string;
  readonly answer: Promise<Answer>;
  made?: string | undefined;
}

export class Once {
  readonly #kept = new Map<string, Kept>();

  /**
   * Does `act` and keeps what comes of it, an error too. `scope` is who asks for what (caller and path): the same key in another scope is
   * another key. While the first is running, the second waits for it. The same key with another body is refused with 422. Without a key
   * nothing is kept.
   */
  run(key: string | undefined, scope: string, body: unknown, act: () => Promise<Answer>): Promise<Answer> {
    if (key === undefined) return act();
    const name = `${scope}\n${key}`;
    const fingerprint = createHash('sha256')
      .update(JSON.stringify(body ?? null))
      .digest('base64');
    const kept = this.#kept.get(name);
    if (kept === undefined) {
      const answer = act();
      this.#keep(name, { fingerprint, answer });
      return answer;
    }
    if (kept.fingerprint === fingerprint) return kept.answer;
    throw new Refusal('EINVAL', `Idempotency-Key '${key}' was used with another body; use a new key`, 'idempotency-key', 422);
  }

  /** Forgets the answers about a machine that is gone: those of scopes that begin with its id, and the one that made it. */
  forget(machine: string): void {
    for (const [name, kept] of this.#kept) if (name.startsWith(`${machine} `) || kept.made === machine) this.#kept.delete(name);
  }

  #keep(name: string, kept: Kept): void {
    // The rejection is for whoever waits; keeping the promise must not make it an unhandled one.
    kept.answer.then(
      ({ made }) => {
        kept.made = made;
      },
      () => undefined,
    );
    this.#kept.set(name, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= ANSWERS_MAX) break;
      this.#kept.delete(oldest);
    }
  }
}
