import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What the floor is asked for: `hit`, `path` or `walk` over so many pages (a power of two), as translate.c says. */
export interface TranslationWork {
  readonly kind: 'hit' | 'path' | 'walk';
  readonly pages: number;
}

/** What came of it. `checksum`: the physical pages added up, modulo 2^32; `refused`: how many were not translated. */
export interface TranslationOutcome {
  readonly completed: number;
  readonly seconds: number;
  readonly checksum: number;
  readonly refused: number;
}

/** The C floor in a process of its own, which waits for work on its stdin between the rounds. */
export interface TranslationProgram {
  /** For so many seconds; or, with a count, exactly so many translations. */
  run(work: TranslationWork, limit: { readonly seconds: number } | { readonly count: number }): Promise<TranslationOutcome>;
  close(): Promise<void>;
}

/** Why there is no C floor on this machine; undefined when there is. */
export function whyNoC(): string | undefined {
  const { error, status } = spawnSync('gcc', ['--version'], { stdio: 'ignore' });
  return error === undefined && status === 0 ? undefined : 'the floor `c` needs gcc, which is not on this machine';
}

/** Compiles the floor into a temporary folder and starts it. Throws what gcc said when it does not compile. */
export async function startTranslationProgram(): Promise<TranslationProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'iommud-bench-'));
  const child = compileAndSpawn(folder);
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run({ kind, pages }, limit) {
      const [seconds, count] = 'count' in limit ? [0, limit.count] : [limit.seconds, 0];
      child.stdin.write(`${kind} ${pages} ${seconds} ${count}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error('the C floor ended');
      return JSON.parse(line.value) as TranslationOutcome;
    },
    async close() {
      child.stdin.end();
      await exited;
      rmSync(folder, { recursive: true });
    },
  };
}

function compileAndSpawn(folder: string) {
  const program = join(folder, 'translate');
  const source = fileURLToPath(new URL('translate.c', import.meta.url));
  const { status, stderr } = spawnSync('gcc', ['-O2', '-o', program, source], { encoding: 'utf8' });
  if (status !== 0) {
    rmSync(folder, { recursive: true });
    throw new Error(`gcc does not compile ${source}:\n${stderr}`);
  }
  return spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
}
