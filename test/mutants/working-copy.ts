/** A copy of what the conformance tests need, in which defects are seeded: never the checkout. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { seeded, type Defect } from './defect.ts';
import type { TestResult } from './verdict.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const CORE = 'server/src/core';
const COPIED = ['server', 'client', 'proto', 'test', 'package.json', 'tsconfig.base.json', 'vitest.config.ts'];
const REPORT = 'report.json';
/** A defect that loops must not hold the rest up. */
const RUN_MS = 120_000;
/** The longest exploring has some ten times the orders of the others. */
const EXPLORE_MS = 600_000;
/** One worker without isolation: twice as fast, and the tests share no state. What the defect is not in is transformed once for all runs of a copy. */
const TESTS = ['run', '--project', 'conformance', '--pool', 'threads', '--no-isolate', '--maxWorkers', '1', '--no-cache'];
const TRANSFORMED = ['--experimental.fsModuleCache', '--experimental.fsModuleCachePath'];
const TRANSFORMED_IN = 'transformed';

interface Report {
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly Omit<TestResult, 'file'>[] }[];
}

export class WorkingCopy implements Disposable {
  // Reports have the paths that links lead to.
  readonly #folder = realpathSync(mkdtempSync(join(tmpdir(), 'iommud-mutants-')));
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    for (const name of COPIED) cpSync(join(REPOSITORY, name), join(this.#folder, name), { recursive: true });
    symlinkSync(join(REPOSITORY, 'node_modules'), join(this.#folder, 'node_modules'));
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Seeds the defect for as long as `action` takes. */
  async with<T>(defect: Defect, action: () => Promise<T>): Promise<T> {
    const path = join(this.#folder, CORE, defect.file);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, seeded(text, defect));
    try {
      return await action();
    } finally {
      writeFileSync(path, text);
    }
  }

  /** The first type error of core, or undefined. */
  async typeError(): Promise<string | undefined> {
    const { code, output } = await this.#run(['node_modules/typescript/bin/tsc', '--noEmit', '-p', `${CORE}/tsconfig.json`]);
    return code === 0 ? undefined : output.trim().split('\n')[0];
  }

  /** Every conformance test, or those in these files; none where the run did not come to a report. */
  async conformance(files: readonly string[] = []): Promise<readonly TestResult[]> {
    const report = join(this.#folder, REPORT);
    rmSync(report, { force: true });
    const transformed = [...TRANSFORMED, join(this.#folder, TRANSFORMED_IN)];
    await this.#run([
      'node_modules/vitest/vitest.mjs',
      ...TESTS,
      ...files,
      ...transformed,
      '--reporter=json',
      `--outputFile.json=${report}`,
    ]);
    try {
      const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
      return testResults.flatMap(({ name, assertionResults }) =>
        assertionResults.map((test) => ({ ...test, file: relative(this.#folder, name) })),
      );
    } catch {
      return [];
    }
  }

  /** The last lines of `iommud explore` up to its first violation, and whether there was one. */
  async explore(args: readonly string[]): Promise<{ readonly found: boolean; readonly output: string }> {
    const command = ['--import', 'tsx', 'client/cli/main.ts', 'explore', '--first', '--jobs', '1', '--out', this.#folder, ...args];
    const { code, output } = await this.#run(command, EXPLORE_MS);
    return { found: code === 1 && output.includes(' violations; the shortest has '), output };
  }

  #run(args: readonly string[], timeout = RUN_MS): Promise<{ code: number | null; output: string }> {
    // The tests of core need no server, whatever the caller's own tests are pointed at.
    const { IOMMUD_URL: _, ...env } = process.env;
    const child = spawn(process.execPath, args, { cwd: this.#folder, env, signal: this.#signal, timeout, killSignal: 'SIGKILL' });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    let failure: Error | undefined;
    child.on('error', (error) => (failure = error));
    // Also after an error: a program that was told to end may still write into the copy.
    return new Promise((resolve, reject) => {
      child.on('close', (code) => (failure === undefined ? resolve({ code, output }) : reject(failure)));
    });
  }
}
