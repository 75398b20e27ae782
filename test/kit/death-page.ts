/** The tables of docs/deaths.md, of what was seen of the cells. */
import { VICTIMS, type Played, type Seen, type Victim } from './deaths.ts';

const BEGIN = '<!-- what follows is made by killing programs: node test/tidy/death-page.mjs -->';
const END = '<!-- made until here -->';

const HEADS = [
  'dies before',
  'DMA while the call stands',
  'the write in flight',
  "the host's call",
  'the window then',
  'DMA in it',
  'when another host has ended it',
  'DMA then',
] as const;

/** The page with its tables made anew; the prose round them stays. */
export function withDeaths(page: string, played: readonly Played[]): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error('docs/deaths.md has no place for its tables');
  const tables = VICTIMS.map((victim) => [`### The ${victim}`, table(rowsOf(victim, played))].join('\n\n'));
  return [page.slice(0, begin) + BEGIN, ...tables, page.slice(end)].join('\n\n');
}

/** Steps of a call that do not differ share a row. */
function rowsOf(victim: Victim, played: readonly Played[]): readonly (readonly string[])[] {
  const rows = new Map<string, { readonly call: string; readonly steps: string[]; readonly texts: readonly string[] }>();
  for (const { victim: of, point, seen } of played) {
    if (of !== victim) continue;
    const texts = textsOf(seen);
    const key = [point.call, ...texts].join('|');
    const row = rows.get(key);
    if (row === undefined) rows.set(key, { call: point.call, steps: [point.step], texts });
    else row.steps.push(point.step);
  }
  return [...rows.values()].map(({ call, steps, texts }) => [
    call === 'window'
      ? 'the window is open'
      : `${code(call)}: ${steps.map((step) => (step === 'fence' ? 'its fence is answered' : code(step))).join(', ')}`,
    ...texts,
  ]);
}

function textsOf({ standing, inFlight, answer, shut, shutDma, resets, ended, after }: Seen): readonly string[] {
  const reset = resets.map((method) => `; told ${code(method)}`).join('');
  return [
    standing === '' ? '' : code(standing),
    code(inFlight),
    answer,
    shut === '' ? '' : shut + reset,
    [...new Set(shutDma)].map(code).join(', '),
    shut === '' ? ended + reset : ended,
    after.map(code).join(', '),
  ];
}

function table(rows: readonly (readonly string[])[]): string {
  return [HEADS, HEADS.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}
