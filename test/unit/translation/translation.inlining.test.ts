import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** --max-inlined-bytecode-size of V8: nothing larger becomes a part of its caller. */
const INLINED_MAX = 460;
const LOOPS = new URL('../../bench/measures/core/translation-loops.ts', import.meta.url).href;
const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));

/** Of a function with this name, when pages are translated for the first time. */
function bytecodes(name: string): number {
  const program = `import { prepareWork } from '${LOOPS}'; prepareWork({ kind: 'hit', pages: 1024 });`;
  const flags = ['--print-bytecode', `--print-bytecode-filter=${name}`, '--import', 'tsx', '--input-type=module'];
  const { stdout } = spawnSync(process.execPath, [...flags, '-e', program], { cwd: REPOSITORY, encoding: 'utf8' });
  return Number(/^Bytecode length: (\d+)/m.exec(stdout)?.[1]);
}

it('keeps the miss out of the hit path: in one piece with it, hits take half as long again', () => {
  expect(bytecodes('#walk')).toBeGreaterThan(INLINED_MAX);
});

it('lets the walk be a part of the loop that calls it', () => {
  expect(bytecodes('walk')).toBeLessThanOrEqual(INLINED_MAX);
});
