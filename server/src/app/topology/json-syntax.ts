/** Where a text stops being JSON. The engine's own message does not always tell. */

/** Space, then one token: punctuation, a string, or a number or word. */
const TOKEN =
  // oxlint-disable-next-line no-control-regex -- JSON has none in a string
  /[ \t\r\n]*(?:([{}[\],:])|("[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*")|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-]))/y;
const SPACE = /[ \t\r\n]*/y;

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'separator';

/** Offset of the first token that cannot be where it is; the length of the text when it ends too early. */
export function syntaxErrorAt(text: string): number {
  const open: ('{' | '[')[] = [];
  let expected: Expected = 'value';
  for (let at = 0; ;) {
    SPACE.lastIndex = at;
    const start = at + (SPACE.exec(text)?.[0].length ?? 0);
    TOKEN.lastIndex = start;
    const token = TOKEN.exec(text);
    if (token === null) return start;
    at = TOKEN.lastIndex;
    const mark = token[1];
    const follows = next(expected, mark, token[2] !== undefined, open);
    if (follows === undefined) return start;
    expected = follows;
  }
}

/** What may follow a token, or nothing where the token cannot be. Keeps `open`, the brackets around the place. */
function next(expected: Expected, mark: string | undefined, string: boolean, open: ('{' | '[')[]): Expected | undefined {
  const inside = open.at(-1);
  if (expected === 'colon') return mark === ':' ? 'value' : undefined;
  if (mark === '}' || mark === ']') {
    const closes = mark === '}' ? inside === '{' && expected !== 'key' : inside === '[';
    if (!closes || expected === 'value') return undefined;
    open.pop();
    return 'separator';
  }
  if (expected === 'separator') return mark !== ',' || inside === undefined ? undefined : inside === '{' ? 'key' : 'value';
  if (expected === 'key' || expected === 'key or }') return string ? 'colon' : undefined;
  if (mark === '{' || mark === '[') {
    open.push(mark);
    return mark === '{' ? 'key or }' : 'value or ]';
  }
  return mark === undefined ? 'separator' : undefined;
}
