/**
 * YAML 1.2 with its lines. The parser is quadratic in keys and aliases and recursive in depth, so this checks keys itself, reads no
 * aliases, and looks at the tokens before it lets the parser see them.
 */
import { CST, Lexer, LineCounter, isCollection, isMap, isScalar, parseDocument, type Document, type Node, type Pair } from 'yaml';
import { notWellFormed, type Path, type Source } from './place.ts';

/** 256 KiB keep the parser's time below a second; JSON may be longer. */
export const YAML_CHARACTERS_MAX = 1 << 18;
/** Brackets around one place, and indicators on one line: more than any topology needs. */
const DEPTH_MAX = 600;

/** What is not well-formed, or has anchors and aliases, is `EINVAL` with its line. */
export function readYaml(text: string): Source {
  if (text.length > YAML_CHARACTERS_MAX) {
    throw notWellFormed(1, `${text.length} characters are more than the ${YAML_CHARACTERS_MAX} that YAML may have; write it as JSON`);
  }
  checkTokens(text);
  const lines = new LineCounter();
  const document = guarded(() => parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, logLevel: 'error' }));
  const error = document.errors[0];
  if (error !== undefined) {
    const message = error.code === 'MULTIPLE_DOCS' ? 'a second document; a topology is one document' : readable(error.message);
    throw notWellFormed(lines.linePos(error.pos[0]).line, message);
  }
  return guarded(() => {
    checkKeys(document.contents, lines);
    return new YamlSource(document, lines);
  });
}

/** Refuses aliases and what is nested too deeply. */
function checkTokens(text: string): void {
  let line = 1;
  let brackets = 0;
  let indicators = 0;
  let scalarFollows = false;
  for (const token of new Lexer().lex(text)) {
    const type = scalarFollows ? 'scalar' : CST.tokenType(token);
    // The lexer puts a mark of its own before each scalar, which can begin with any character.
    scalarFollows = token === CST.SCALAR;
    if (type === 'flow-map-start' || type === 'flow-seq-start') brackets += 1;
    if (type === 'flow-map-end' || type === 'flow-seq-end') brackets -= 1;
    if (type === 'seq-item-ind' || type === 'explicit-key-ind') indicators += 1;
    if (type === 'newline') indicators = 0;
    if (type === 'alias' || type === 'anchor') throw notWellFormed(line, 'anchors and aliases are not read; write the value out');
    if (brackets + indicators > DEPTH_MAX) throw notWellFormed(line, 'nested too deeply');
    for (let at = token.indexOf('\n'); at >= 0; at = token.indexOf('\n', at + 1)) line += 1;
  }
}

function checkKeys(node: unknown, lines: LineCounter): void {
  if (!isCollection(node)) return;
  const seen = new Map<string, number>();
  for (const item of node.items) {
    if (!isMap(node)) {
      checkKeys(item, lines);
      continue;
    }
    const pair = item as Pair;
    const line = lines.linePos(asNode(pair.key)?.range?.[0] ?? 0).line;
    const name = nameOf(pair);
    const before = name === undefined ? undefined : seen.get(name);
    if (before !== undefined) throw notWellFormed(line, `key "${name}" is already on line ${before}`);
    if (name !== undefined) seen.set(name, line);
    checkKeys(pair.key, lines);
    checkKeys(pair.value, lines);
  }
}

/** The parser recurses; a text that exhausts the stack is the text's fault. */
function guarded<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw notWellFormed(1, readable(error.message));
    throw error;
  }
}

/** The parser tells the end of the stack in the engine's words. */
function readable(message: string): string {
  return message.includes('call stack') ? 'nested too deeply' : message;
}

class YamlSource implements Source {
  readonly value: unknown;
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;

  constructor(document: Document.Parsed, lines: LineCounter) {
    this.value = document.toJS();
    this.#document = document;
    this.#lines = lines;
  }

  locate(path: Path, key = false): string {
    return `line ${this.#lines.linePos(this.#find(path, key)?.range?.[0] ?? 0).line}`;
  }

  written(path: Path): string | undefined {
    const node = this.#find(path, false);
    return isScalar(node) ? node.source : undefined;
  }

  /** The node at a path, or the deepest that there is on the way to it. */
  #find(path: Path, key: boolean): Node | undefined {
    let node: Node | undefined = this.#document.contents ?? undefined;
    for (const [depth, part] of path.entries()) {
      if (!isCollection(node)) return node;
      const pair: Pair | undefined = isMap(node) ? node.items.find((item) => nameOf(item) === String(part)) : undefined;
      const next: unknown = isMap(node) ? pair?.value : node.items[Number(part)];
      if (key && depth === path.length - 1 && pair !== undefined) return asNode(pair.key);
      if (asNode(next) === undefined) return asNode(pair?.key) ?? node;
      node = asNode(next);
    }
    return node;
  }
}

function nameOf(pair: Pair): string | undefined {
  return isScalar(pair.key) ? String(pair.key.value) : undefined;
}

function asNode(value: unknown): Node | undefined {
  return isScalar(value) || isCollection(value) ? value : undefined;
}
