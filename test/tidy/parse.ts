/** What the rules need to know of one source file, from a real parser. */
import { parseSync } from 'oxc-parser';

export interface Import {
  /** As written, e.g. `../base/index.ts`. */
  readonly from: string;
  readonly line: number;
  /** `type`: erased when compiled; `dynamic`: `import()`. */
  readonly how: 'static' | 'type' | 'dynamic';
  /** `export … from`. */
  readonly reexport: 'no' | 'named' | 'all';
}

/** A node of the ESTree; children are reached by {@link walk}. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface Comment {
  readonly text: string;
  readonly line: number;
  readonly endLine: number;
}

export interface Parsed {
  readonly imports: readonly Import[];
  readonly comments: readonly Comment[];
  readonly program: Node;
  readonly lineOf: (offset: number) => number;
}

/** Stands for the name in an `import()` of an expression. */
export const COMPUTED = '(computed)';

const cache = new Map<string, Parsed>();

/** Parses one file. Throws on a syntax error, naming the file. */
export function parse(path: string, text: string): Parsed {
  const key = `${path}\0${text}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const result = parseSync(path, text);
  const [error] = result.errors;
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  const lineOf = lineFinder(text);
  const program = result.program as unknown as Node;
  const parsed: Parsed = {
    imports: importsOf(program, lineOf),
    comments: result.comments.map((c) => ({ text: c.value.trim(), line: lineOf(c.start), endLine: lineOf(c.end) })),
    program,
    lineOf,
  };
  cache.set(key, parsed);
  return parsed;
}

/** Calls `visit` for every node, outermost first, with its parents from the nearest on. */
export function walk(node: Node, visit: (node: Node, parents: readonly Node[]) => void, parents: readonly Node[] = []): void {
  visit(node, parents);
  const inside = [node, ...parents];
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) walk(child, visit, inside);
  }
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

const IMPORTING: Readonly<Record<string, Pick<Import, 'how' | 'reexport'>>> = {
  ImportDeclaration: { how: 'static', reexport: 'no' },
  ExportNamedDeclaration: { how: 'static', reexport: 'named' },
  ExportAllDeclaration: { how: 'static', reexport: 'all' },
  ImportExpression: { how: 'dynamic', reexport: 'no' },
  TSImportType: { how: 'type', reexport: 'no' },
};

/** `import { type T }` counts as static: with verbatimModuleSyntax it is still loaded when the program runs. */
function importsOf(program: Node, lineOf: (offset: number) => number): Import[] {
  const found: Import[] = [];
  walk(program, (node) => {
    const kind = IMPORTING[node.type];
    const source = node['source'];
    if (kind === undefined || !isNode(source)) return;
    const erased = node['importKind'] === 'type' || node['exportKind'] === 'type';
    const from = typeof source['value'] === 'string' ? source['value'] : COMPUTED;
    found.push({ ...kind, from, line: lineOf(node.start), how: erased ? 'type' : kind.how });
  });
  return found;
}

function lineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
