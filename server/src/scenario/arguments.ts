/** The arguments of one statement, read in order: each reader throws EINVAL with the line and what should stand there. */
import { NO_PASID, bdf, pasid, type Bdf, type Pasid } from '../core/base/index.ts';
import { at, type Statement, type Token } from './syntax.ts';

export type Value = bigint | string;

const PLACE = /^(?:(?<segment>[0-9a-f]{4}):)?(?<bus>[0-9a-f]{2}):(?<device>[0-9a-f]{2})\.(?<fn>[0-7])$/i;
const NUMBER = /^(?:0x[0-9a-f]+|\d+)$/i;
const SUM = /^(?<base>[^+]+)\+(?<offset>.+)$/;
const QUANTITY = /^(?<count>\d+)(?<unit>ns|us|ms|s|KiB|MiB|GiB)$/;
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  KiB: 1n << 10n,
  MiB: 1n << 20n,
  GiB: 1n << 30n,
};

export class Arguments {
  readonly statement: Statement;
  readonly #names: ReadonlyMap<string, Value>;
  #next = 0;
  readonly #options: Map<string, string>;
  /** The names that were looked up, with what they stood for. */
  readonly used = new Map<string, Value>();

  constructor(statement: Statement, names: ReadonlyMap<string, Value>) {
    this.statement = statement;
    this.#names = names;
    this.#options = new Map(statement.options);
  }

  /** A function's place, `00:02.0`. */
  fn(): Bdf {
    const token = this.#take('a function');
    return placeOf(token.text) ?? this.#fail(`"${token.text}" is no place of a function; write 00:02.0`);
  }

  /** A function's place if one stands here. */
  optionalFn(): Bdf | undefined {
    const token = this.statement.args[this.#next];
    return token === undefined || placeOf(token.text) === undefined ? undefined : this.fn();
  }

  bigint(what: string): bigint {
    return this.#number(this.#take(what).text, what);
  }
  /** Undefined for the word `any`. */
  bigintOrAny(what: string): bigint | undefined {
    const { text } = this.#take(what);
    return text === 'any' ? undefined : this.#number(text, what);
  }
  number(what: string): number {
    return Number(this.bigint(what));
  }
  word(what: string): string {
    return this.#take(what).text;
  }
  optionalWord(): string | undefined {
    return this.statement.args[this.#next] === undefined ? undefined : this.word('a word');
  }
  /** Text in quotes, as bytes. */
  data(): Uint8Array {
    const token = this.#take('text in quotes');
    return Uint8Array.from({ length: token.text.length }, (_, i) => token.text.charCodeAt(i) & 0xff);
  }
  pasid(): Pasid {
    return pasid(this.number('a PASID'));
  }

  optionWord<W extends string>(name: string, words: readonly W[], fallback: W): W;
  optionWord<W extends string>(name: string, words: readonly W[]): W | undefined;
  optionWord<W extends string>(name: string, words: readonly W[], fallback?: W): W | undefined {
    const text = this.#option(name);
    if (text === undefined) return fallback;
    return words.find((word) => word === text) ?? this.#fail(`${name}=${text}: it is one of ${words.join(', ')}`);
  }
  optionNumber(name: string, fallback: number): number {
    const text = this.#option(name);
    return text === undefined ? fallback : Number(this.#number(text, name));
  }
  optionBigint(name: string): bigint | undefined {
    const text = this.#option(name);
    return text === undefined ? undefined : this.#number(text, name);
  }
  optionDomain(name: string): number | undefined {
    const domain = this.optionBigint(name);
    return domain === undefined ? undefined : Number(domain);
  }
  optionFn(name: string): Bdf | undefined {
    const text = this.#option(name);
    if (text === undefined) return undefined;
    return placeOf(text) ?? this.#fail(`${name}=${text}: it is no place of a function; write 00:02.0`);
  }
  optionPasid(): Pasid {
    const text = this.#option('pasid');
    return text === undefined ? NO_PASID : pasid(Number(this.#number(text, 'pasid')));
  }
  optionText(name: string): string | undefined {
    return this.#option(name);
  }

  /** Nothing may be left over. */
  done(): void {
    const extra = this.statement.args[this.#next];
    if (extra !== undefined) this.#fail(`"${extra.text}" is one argument too many for ${this.statement.verb}`);
    const [option] = this.#options.keys();
    if (option !== undefined) this.#fail(`${this.statement.verb} has no option "${option}"`);
  }

  #take(what: string): Token {
    const token = this.statement.args[this.#next++];
    return token ?? this.#fail(`${this.statement.verb} needs ${what}`);
  }
  #option(name: string): string | undefined {
    const text = this.#options.get(name);
    this.#options.delete(name);
    return text;
  }
  #number(text: string, what: string): bigint {
    if (NUMBER.test(text)) return BigInt(text);
    const quantity = QUANTITY.exec(text)?.groups;
    if (quantity !== undefined) return BigInt(quantity['count'] ?? 0) * (UNITS[quantity['unit'] ?? ''] ?? 1n);
    const sum = SUM.exec(text)?.groups;
    if (sum !== undefined) return this.#number(sum['base'] ?? '', what) + this.#number(sum['offset'] ?? '', what);
    const value = this.#names.get(text);
    if (typeof value === 'bigint') {
      this.used.set(text, value);
      return value;
    }
    return this.#fail(`"${text}" is no number and no name of one (${what})`);
  }
  #fail(message: string): never {
    throw at(this.statement.line, message);
  }
}

export function placeOf(text: string): Bdf | undefined {
  const groups = PLACE.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const hex = (name: string): number => Number.parseInt(groups[name] ?? '0', 16);
  return hex('device') > 0x1f ? undefined : bdf(hex('segment'), hex('bus'), hex('device'), hex('fn'));
}
