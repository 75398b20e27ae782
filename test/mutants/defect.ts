/** One change of one file that makes an invariant false. */
export interface Defect {
  /** The number in the table of invariants, with which the names of its conformance tests begin. */
  readonly invariant: number;
  /** Below `server/src/core`. */
  readonly file: string;
  /** Text that the file has once. */
  readonly find: string;
  readonly replace: string;
  /** A second place of the same file, where one alone changes nothing because another part stands in for it. */
  readonly also?: { readonly find: string; readonly replace: string };
  /** Which of the explorer's machines shows it; absent: the plain one. */
  readonly machine?: 'direct-regions' | 'nested';
  /** What the defect is, as a reviewer would say it. */
  readonly why: string;
}

/** The text with the defect in it. Throws where a place is not there exactly once: the table is behind the source. */
export function seeded(text: string, defect: Defect): string {
  const { find, replace, also } = defect;
  const once = replaceOnce(text, find, replace);
  return also === undefined ? once : replaceOnce(once, also.find, also.replace);
}

function replaceOnce(text: string, find: string, replace: string): string {
  const [before, after, ...more] = text.split(find);
  if (before === undefined || after === undefined) throw new Error(`does not apply: no text ${JSON.stringify(find)}`);
  if (more.length > 0) throw new Error(`does not apply: ${more.length + 1} times ${JSON.stringify(find)}`);
  return before + replace + after;
}
