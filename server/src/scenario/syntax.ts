/**
 * The text of a scenario file (docs/scenarios.md) as statements: a line is `[name =] [start] verb argument… [option=value…] [=> expectation]`.
 * Nothing is looked up here but the shape.
 */
import { ModelError } from '../core/base/index.ts';

export const SCENARIO_SCHEMA = 'iommud.scenario/v1';

export type Token = { readonly kind: 'word'; readonly text: string } | { readonly kind: 'text'; readonly text: string };

/** What a statement's outcome is held to: the word, and fields by name. */
export interface Expectation {
  readonly word: string;
  readonly fields: ReadonlyMap<string, string>;
}

export interface Statement {
  /** Counted from 1. */
  readonly line: number;
  readonly text: string;
  /** What its value or, of a started call, its outcome is called. */
  readonly name: string | undefined;
  /** Goes on in the background: it need not be answered at once. */
  readonly started: boolean;
  readonly verb: string;
  readonly args: readonly Token[];
  readonly options: ReadonlyMap<string, string>;
  readonly expect: Expectation | undefined;
}

export interface Actor {
  readonly name: string;
  readonly statements: readonly Statement[];
}

export interface Scenario {
  readonly title: string;
  /** Lines that say what the machine is: `machine`, `function`, `region`, `memory`, `iommu`, `behaviour`, `clock`, `seed`, `without-fix`. */
  readonly declarations: readonly Statement[];
  readonly setup: readonly Statement[];
  /** What goes on at the same time, each in its own order. */
  readonly actors: readonly Actor[];
  /** Which actor takes each step; undefined: one after the other. */
  readonly order: readonly string[] | undefined;
  /** After the actors. */
  readonly after: readonly Statement[];
}

const DECLARATIONS = new Set(['title', 'machine', 'function', 'region', 'memory', 'iommu', 'behaviour', 'clock', 'seed', 'without-fix']);
const TOKEN = /\s*(?:"(?<text>(?:[^"\\]|\\.)*)"|(?<word>[^\s"#]+)|(?<comment>#.*))/y;
const NAME = /^[A-Za-z_][\w-]*$/;
const STATEMENTS_MAX = 10_000;

/** Throws {@link ModelError} EINVAL with the line that cannot be read. */
export function parseScenario(text: string): Scenario {
  const lines = text.split(/\r?\n/);
  if (lines[0]?.trim() !== SCENARIO_SCHEMA) throw at(1, `a scenario begins with the line "${SCENARIO_SCHEMA}"`);
  if (lines.length > STATEMENTS_MAX) throw at(STATEMENTS_MAX, `a scenario has at most ${STATEMENTS_MAX} lines`);
  let title = '';
  let order: string[] | undefined;
  const declarations: Statement[] = [];
  const setup: Statement[] = [];
  const after: Statement[] = [];
  const actors: { name: string; statements: Statement[] }[] = [];
  let block = setup;
  for (const [index, raw] of lines.entries()) {
    if (index === 0) continue;
    const line = index + 1;
    const tokens = tokenize(raw, line);
    const [first, second] = tokens;
    if (first === undefined) continue;
    if (first.text === 'title') {
      title = raw.trim().slice('title'.length).trim();
    } else if (first.text === 'actor') {
      if (second === undefined || tokens.length !== 2 || !NAME.test(second.text)) throw at(line, 'write "actor NAME"');
      if (actors.some(({ name }) => name === second.text)) throw at(line, `there is an actor "${second.text}" already`);
      actors.push({ name: second.text, statements: (block = []) });
    } else if (first.text === 'finally' && tokens.length === 1) {
      block = after;
    } else if (first.text === 'order') {
      order = [...(order ?? []), ...tokens.slice(1).map((token) => token.text)];
    } else if (DECLARATIONS.has(first.text)) {
      if (block !== setup || setup.length > 0) throw at(line, `"${first.text}" stands before all that is done`);
      declarations.push(statement(raw, line, tokens));
    } else {
      block.push(statement(raw, line, tokens));
    }
  }
  const unknown = order?.find((name) => !actors.some((actor) => actor.name === name));
  if (unknown !== undefined)
    throw at(lines.findIndex((line) => /^\s*order\b/.test(line)) + 1, `the order names "${unknown}", which is no actor`);
  return { title, declarations, setup, actors, order, after };
}

function tokenize(raw: string, line: number): Token[] {
  const tokens: Token[] = [];
  const text = raw.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const from = TOKEN.lastIndex;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) throw at(line, `cannot read ${JSON.stringify(text.slice(from).trim())}`);
    if (groups['comment'] !== undefined) break;
    if (groups['word'] !== undefined) tokens.push({ kind: 'word', text: groups['word'] });
    else tokens.push({ kind: 'text', text: (groups['text'] ?? '').replaceAll(/\\(.)/g, '$1') });
  }
  return joinOptions(tokens);
}

/** `data="a b"` is two tokens to the reader and one option to the writer. */
function joinOptions(tokens: readonly Token[]): Token[] {
  const joined: Token[] = [];
  for (const token of tokens) {
    const last = joined.at(-1);
    if (token.kind === 'text' && last?.kind === 'word' && last.text.endsWith('=') && last.text.length > 1 && !last.text.startsWith('=')) {
      joined[joined.length - 1] = { kind: 'word', text: last.text + token.text };
    } else {
      joined.push(token);
    }
  }
  return joined;
}

function statement(raw: string, line: number, all: readonly Token[]): Statement {
  const arrow = all.findIndex((token) => token.kind === 'word' && token.text === '=>');
  let tokens = arrow < 0 ? all : all.slice(0, arrow);
  const expect = arrow < 0 ? undefined : expectation(all.slice(arrow + 1), line);
  let name: string | undefined;
  if (tokens[1]?.kind === 'word' && tokens[1].text === '=') {
    name = tokens[0]?.text;
    if (name === undefined || !NAME.test(name)) throw at(line, `"${name}" is no name: letters, digits, - and _, a letter first`);
    tokens = tokens.slice(2);
  }
  const started = tokens[0]?.text === 'start';
  if (started) tokens = tokens.slice(1);
  const [verb, ...rest] = tokens;
  if (verb === undefined) throw at(line, 'says nothing to do');
  const options = new Map<string, string>();
  const args = rest.filter((token) => {
    const equals = token.kind === 'word' ? token.text.indexOf('=') : -1;
    if (equals < 1) return true;
    options.set(token.text.slice(0, equals), token.text.slice(equals + 1));
    return false;
  });
  return { line, text: raw.trim(), name, started, verb: verb.text, args, options, expect };
}

function expectation(tokens: readonly Token[], line: number): Expectation {
  const fields = new Map<string, string>();
  const words: string[] = [];
  for (const { text, kind } of tokens) {
    const equals = kind === 'word' ? text.indexOf('=') : -1;
    if (equals < 1) words.push(text);
    else fields.set(text.slice(0, equals), text.slice(equals + 1));
  }
  if (words.length > 1 || tokens.length === 0) throw at(line, 'after => stands one word, then fields as name=value');
  return { word: words[0] ?? '', fields };
}

export function at(line: number, message: string): ModelError {
  return new ModelError('EINVAL', `line ${line}: ${message}`, 'scenario');
}
