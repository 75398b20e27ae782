/** JSON with its lines. `JSON.parse` makes the value; a second pass over text that is known to be good notes where everything is. */
import { syntaxErrorAt } from './json-syntax.ts';
import { notWellFormed, type Path, type Source } from './place.ts';

/** Deeper than any hierarchy of 256 buses needs: two levels for each. */
const DEPTH_MAX = 600;

/** Where a value is, and what is in it. */
interface Noted {
  readonly start: number;
  end: number;
  /** Of an object: where each key is. Of an array: empty. */
  readonly keys: Map<string, number>;
  readonly inside: Map<string | number, Noted>;
}

export function readJson(written: string): Source {
  // Editors put a byte order mark there, which JSON does not have.
  const text = written.startsWith('\uFEFF') ? written.slice(1) : written;
  const value = parse(text);
  const root = new Notes(text).read();
  const find = (path: Path): Noted => {
    let noted = root;
    for (const part of path) noted = noted.inside.get(part) ?? noted;
    return noted;
  };
  return {
    value,
    locate(path, key = false) {
      const last = path.at(-1);
      const keyAt = key && last !== undefined ? find(path.slice(0, -1)).keys.get(String(last)) : undefined;
      return `line ${lineOf(text, keyAt ?? find(path).start)}`;
    },
    written(path) {
      const noted = find(path);
      return text.slice(noted.start, noted.end);
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Some of the engine's messages tell a position and some quote the text, with the ends of its lines.
    const plain = message.replace(/ at position \d+(?: \(line \d+ column \d+\))?/, '').replaceAll(/[\s\p{Cc}]+/gu, ' ');
    throw notWellFormed(lineOf(text, syntaxErrorAt(text)), plain);
  }
}

class Notes {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Noted {
    this.#skipSpace();
    return this.#value(0);
  }

  #value(depth: number): Noted {
    if (depth > DEPTH_MAX) throw notWellFormed(lineOf(this.#text, this.#at), 'nested too deeply');
    const noted: Noted = { start: this.#at, end: 0, keys: new Map(), inside: new Map() };
    const first = this.#text[this.#at];
    if (first === '{') this.#object(noted, depth);
    else if (first === '[') this.#array(noted, depth);
    else if (first === '"') this.#string();
    else while (this.#at < this.#text.length && !/[\s,\]}]/.test(this.#text[this.#at] ?? '')) this.#at += 1;
    noted.end = this.#at;
    return noted;
  }

  #object(noted: Noted, depth: number): void {
    this.#step();
    while (this.#text[this.#at] !== '}') {
      const keyAt = this.#at;
      const key = this.#string();
      const before = noted.keys.get(key);
      if (before !== undefined) {
        throw notWellFormed(lineOf(this.#text, keyAt), `key "${key.slice(0, 40)}" is already on line ${lineOf(this.#text, before)}`);
      }
      noted.keys.set(key, keyAt);
      this.#skipSpace();
      // The colon.
      this.#step();
      noted.inside.set(key, this.#value(depth + 1));
      this.#skipSpace();
      if (this.#text[this.#at] === ',') this.#step();
    }
    this.#at += 1;
  }

  #array(noted: Noted, depth: number): void {
    this.#step();
    for (let index = 0; this.#text[this.#at] !== ']'; index++) {
      noted.inside.set(index, this.#value(depth + 1));
      this.#skipSpace();
      if (this.#text[this.#at] === ',') this.#step();
    }
    this.#at += 1;
  }

  #string(): string {
    const start = this.#at;
    this.#at += 1;
    while (this.#text[this.#at] !== '"') this.#at += this.#text[this.#at] === '\\' ? 2 : 1;
    this.#at += 1;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  #step(): void {
    this.#at += 1;
    this.#skipSpace();
  }

  #skipSpace(): void {
    while (' \t\r\n'.includes(this.#text[this.#at] ?? '.')) this.#at += 1;
  }
}

function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}
