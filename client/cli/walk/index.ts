/** `iommud walk`: page tables as hardware reads them, level by level. Needs no service. */
import type { Command } from 'commander';
import { EXIT, Exit } from '../exit.ts';
import { readInput } from '../input.ts';
import { print } from '../output.ts';
import { TablesFileError, parseTablesFile, type TablesFile, type TranslationRoom } from './tables-file.ts';
import { walkTables, walkedText, type Walked } from './walk-tables.ts';

interface WalkOptions {
  readonly tables: string;
  readonly iova?: string;
  readonly check?: true;
  readonly json?: true;
}

/** Lookups that `--check` prints of those that disagree. */
const SHOWN_MAX = 10;
const ADDRESS = /^(0x[0-9a-f]{1,16}|\d{1,20})$/i;

export function registerWalk(program: Command): void {
  program
    .command('walk')
    .description('walk page tables from a file and explain every level')
    .requiredOption('--tables <file>', 'JSON with fmt, info, tables and lookups; - is standard input')
    .option('--iova <address>', 'the address to translate, 0x… or decimal')
    .option('--check', 'walk for every lookup in the file and compare')
    .option('--json', 'print JSON')
    .action(walk);
}

async function walk(options: WalkOptions): Promise<void> {
  if ((options.iova === undefined) === (options.check === undefined)) throw new Exit(EXIT.usage, 'give either --iova or --check');
  const iova = options.iova === undefined ? undefined : addressOf(options.iova);
  const text = readInput(options.tables);
  const room = await import('../../../server/src/core/translation/index.ts');
  const file = parse(options.tables, text, room);
  if (iova === undefined) {
    check(file, options.json, room);
    return;
  }
  const walked = walkTables(file, iova, room);
  print(options.json, walked, () => walkedText(walked));
}

function addressOf(text: string): bigint {
  const address = ADDRESS.test(text) ? BigInt(text) : 1n << 64n;
  if (address >> 64n !== 0n) throw new Exit(EXIT.usage, `--iova ${text} is no address of at most 64 bits; write 0x… or decimal digits`);
  return address;
}

function parse(path: string, text: string, room: TranslationRoom): TablesFile {
  try {
    return parseTablesFile(text, room);
  } catch (error) {
    if (error instanceof TablesFileError)
      throw new Exit(EXIT.usage, `${path} is no file of page tables: ${error.message}`, { cause: error });
    throw error;
  }
}

function check(file: TablesFile, json: true | undefined, room: TranslationRoom): void {
  const wrong: { readonly iova: bigint; readonly expected: bigint; readonly walked: Walked }[] = [];
  for (const [iova, expected] of file.lookups) {
    const walked = walkTables(file, iova, room);
    if ((walked.address ?? 0n) !== expected) wrong.push({ iova, expected, walked });
  }
  if (wrong.length > 0) process.exitCode = EXIT.failed;
  const verdict = `${file.lookups.length} lookups, ${wrong.length} disagree`;
  print(json, { lookups: file.lookups.length, disagree: wrong.length, first: wrong.slice(0, SHOWN_MAX) }, () => {
    const shown = wrong.slice(0, SHOWN_MAX).map(({ expected, walked }) => `${walkedText(walked)}\nexpected 0x${expected.toString(16)}\n`);
    return [...shown, verdict].join('\n');
  });
}
