/** The tables of docs/resets.md, of what came of the cells. */
import { inProcessDriver } from '../driver/index.ts';
import { METHODS, STATES, WAYS, cells, isOneOf, topologyOf, type Cell, type Way } from './reset-cells.ts';
import { play, type CellOutcome } from './reset-play.ts';

export interface Played {
  readonly cell: Cell;
  readonly outcome: CellOutcome;
}

const SEED = 7;

/** Plays every cell in this process. */
export async function playAll(): Promise<readonly Played[]> {
  const driver = inProcessDriver();
  const played: Played[] = [];
  for (const cell of cells()) {
    const request = { topology: topologyOf(cell.way), behaviour: cell.behaviour, clock: 'manual', seed: SEED } as const;
    const machine = await driver.createMachine(request);
    const connection = await machine.connect(['host', 'observer'], 'window');
    played.push({ cell, outcome: await play(connection.machine, cell) });
    await machine.close();
  }
  return played;
}

const BEGIN = '<!-- what follows is made by running it: node test/tidy/reset-page.mjs -->';
const END = '<!-- made until here -->';

/** The page with its tables made anew; the prose round them stays. */
export function withTables(page: string, played: readonly Played[]): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error('docs/resets.md has no place for its tables');
  const tables = STATES.map((state) => {
    const rows = rowsOf(played.filter(({ cell }) => cell.state === state));
    return [`### ${state[0]?.toUpperCase()}${state.slice(1)}`, table([...HEADS, ...heads(state)], rows)].join('\n\n');
  });
  return [page.slice(0, begin) + BEGIN, ...tables, page.slice(end)].join('\n\n');
}

const HEADS = ['way', 'window', 'behaviour', 'answer', 'fence', 'afterwards'] as const;

function heads(state: Cell['state']): readonly string[] {
  switch (state) {
    case 'DMA in flight':
      return ['the read', 'the held write', 'let go later'];
    case 'ATS in flight':
      return ['the translation request'];
    case 'invalidation in flight':
      return ['the unmap'];
    default:
      return ['a later unmap'];
  }
}

interface Row {
  readonly ways: readonly Way[];
  readonly window: boolean;
  readonly behaviours: readonly string[];
  readonly texts: readonly string[];
}

/** Behaviours that do not differ share a row, and so do ways. */
function rowsOf(played: readonly Played[]): readonly (readonly string[])[] {
  const rows = WAYS.flatMap((way) => [true, false].flatMap((window) => rowsOfWay(played, way, window)));
  const merged: Row[] = [];
  for (const row of rows) {
    const same = merged.findIndex((one) => keyOf(one) === keyOf(row));
    if (same < 0) merged.push(row);
    else merged[same] = { ...row, ways: [...(merged[same]?.ways ?? []), ...row.ways] };
  }
  return merged.map(({ ways, window, behaviours, texts }) => [
    ways.map(named).join(', '),
    window ? 'with' : 'without',
    behaviours.join(', '),
    ...texts,
  ]);
}

function rowsOfWay(played: readonly Played[], way: Way, window: boolean): readonly Row[] {
  const rows: Row[] = [];
  for (const { cell, outcome } of played) {
    if (cell.way !== way || cell.window !== window) continue;
    const texts = textsOf(cell, outcome);
    const same = rows.findIndex((row) => row.texts.join('|') === texts.join('|'));
    const behaviour = code(cell.behaviour);
    if (same < 0) rows.push({ ways: [way], window, behaviours: [behaviour], texts });
    else rows[same] = { ways: [way], window, behaviours: [...(rows[same]?.behaviours ?? []), behaviour], texts };
  }
  return rows;
}

function keyOf({ window, behaviours, texts }: Row): string {
  return [window, behaviours.join(), ...texts].join('|');
}

function textsOf({ state }: Cell, outcome: CellOutcome): readonly string[] {
  const own = state === 'DMA in flight' ? dma(outcome) : state === 'ATS in flight' ? outcome.inFlight.map(code) : [unmap(outcome)];
  return [answer(outcome), fence(outcome), afterwards(outcome), ...own];
}

function answer({ answer: word, elapsedMs }: CellOutcome): string {
  return word === undefined ? '' : `${code(word)}, ${elapsedMs} ms`;
}

function fence({ report }: CellOutcome): string {
  if (report === undefined) return '';
  const { drained, aborted, completed, timedOut } = report;
  const parts: readonly (readonly [number, string])[] = [
    [drained, 'drained'],
    [aborted, 'aborted'],
    [completed, 'completed'],
    [timedOut, 'timed out'],
  ];
  return parts
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${count} ${what}`)
    .join(', ');
}

function afterwards({ blocked, answers, busMaster, ats, fresh, setUp }: CellOutcome): string {
  if (blocked) return 'blocked';
  if (!answers) return ats ? 'dead, with its translation back' : 'dead';
  if (fresh === 'performed') return busMaster && ats ? 'as before' : 'open';
  return setUp === 'performed' ? 'to be set up by its driver' : code(setUp);
}

function dma({ inFlight, late, intact }: CellOutcome): readonly string[] {
  const after = late === undefined ? '' : intact ? code(late) : `**${code(late)}, in a page that is somebody else's**`;
  return [...inFlight.map(code), after];
}

function unmap({ unmapTimedOut }: CellOutcome): string {
  return unmapTimedOut === 0 ? 'completed' : 'timed out';
}

function named(way: Way): string {
  return isOneOf(METHODS, way) ? code(way) : way;
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return [headings, headings.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}
