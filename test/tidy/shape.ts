/** Rules on names and sizes. */
import { parse, walk, type Comment, type Node } from './parse.ts';
import { sources, type Rule } from './tree.ts';

const FILE_LINES_MAX = 300;
const FUNCTION_LINES_MAX = 70;
/** A size that has a written reason is fine: `// long: an opcode table`. */
const REASON = /^long: ?\S/;

/** Words that say nothing of what a file holds. */
const EMPTY_WORDS = new Set(['util', 'utils', 'common', 'misc', 'helper', 'helpers']);
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;

/** File and folder names of code are kebab-case and say what is inside. */
export const namesSayWhatIsInside: Rule = (tree) => {
  const wrong = new Set<string>();
  for (const path of tree.keys()) {
    if (!/^(server|client|proto|test)\/.*\.(ts|tsx|mjs|sh)$/.test(path)) continue;
    for (const segment of path.split('/')) {
      if (!KEBAB.test(segment)) wrong.add(`${path}:1 the name ${segment} is not kebab-case`);
      const empty = segment.split(/[-.]/).find((word) => EMPTY_WORDS.has(word));
      if (empty !== undefined) wrong.add(`${path}:1 the name ${segment} says nothing: ${empty}`);
    }
  }
  return [...wrong];
};

/** A file has at most 300 lines, or says before its first code why it is long. */
export const filesAreShort: Rule = (tree) => {
  const wrong: string[] = [];
  for (const [path, text] of sources(tree)) {
    const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
    if (lines <= FILE_LINES_MAX) continue;
    const { comments, program, lineOf } = parse(path, text);
    const firstCode = (program['body'] as Node[]).find((node) => node.type !== 'ImportDeclaration');
    const until = firstCode === undefined ? lines : lineOf(firstCode.start);
    if (!comments.some((comment) => comment.line < until && givesReason(comment))) {
      wrong.push(`${path}:1 has ${lines} lines; split it, or give the reason in a line "// long: …" at the top`);
    }
  }
  return wrong;
};

/** A function has at most 70 lines, or says inside or on the line above why it is long. */
export const functionsAreShort: Rule = (tree) => {
  const wrong: string[] = [];
  for (const [path, text] of sources(tree)) {
    const { program, comments, lineOf } = parse(path, text);
    walk(program, (node, parents) => {
      if (!isNodeWithBody(node) || isSuite(parents[0])) return;
      const first = lineOf(node.start);
      const last = lineOf(node.end);
      if (last - first + 1 <= FUNCTION_LINES_MAX) return;
      const excused = comments.some((comment) => givesReason(comment) && comment.endLine >= first - 1 && comment.line <= last);
      if (!excused)
        wrong.push(`${path}:${first} a function of ${last - first + 1} lines; split it, or give the reason in a line "// long: …"`);
    });
  }
  return wrong;
};

function isNodeWithBody(node: Node): boolean {
  const body = node['body'] as Node | null | undefined;
  return /Function/.test(node.type) && body?.type === 'BlockStatement';
}

/** `describe('…', () => {…})` is a list, not a function. */
function isSuite(parent: Node | undefined): boolean {
  const callee = parent?.type === 'CallExpression' ? (parent['callee'] as Node) : undefined;
  const name = callee?.type === 'MemberExpression' ? (callee['object'] as Node) : callee;
  return name?.type === 'Identifier' && name['name'] === 'describe';
}

function givesReason(comment: Comment): boolean {
  return comment.text.split('\n').some((line) => REASON.test(line.replace(/^[\s*]+/, '')));
}
