/**
 * `npm run check [-- --without STEP]`: everything that needs no network and no container, in about a minute. Independent steps run side by
 * side on two cores; the first failure stops the rest and is printed last.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

const NODE = process.execPath;
const bin = (name) => `node_modules/.bin/${name}`;

/** `after`: steps whose results this one uses. `cores`: how many it keeps busy. */
const ALL_STEPS = [
  { name: 'contract', run: [NODE, 'proto/generate.mjs', '--check'] },
  { name: 'limits page', run: [NODE, 'proto/limits-page.mjs', '--check'] },
  { name: 'register pages', run: [NODE, 'test/tidy/register-pages.mjs', '--check'] },
  { name: 'format', run: [bin('oxfmt'), '--check'] },
  { name: 'lint', run: [bin('oxlint'), '--type-aware'] },
  { name: 'dead code', run: [bin('knip'), '--no-progress', '--no-config-hints'] },
  { name: 'types', run: [bin('tsc'), '-b'] },
  { name: 'build', run: [NODE, 'proto/copy-gen.mjs'], after: ['types'] },
  { name: 'tests', run: [bin('vitest'), 'run', 'test/tidy', 'test/unit', 'test/property'], after: ['build', 'dead code'], cores: 2 },
];

const { values } = parseArgs({ options: { without: { type: 'string', multiple: true, default: [] } } });
const unknown = values.without.find((name) => !ALL_STEPS.some((step) => step.name === name));
if (unknown !== undefined) {
  console.error(`there is no step "${unknown}"; there are ${ALL_STEPS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const STEPS = ALL_STEPS.filter(({ name }) => !values.without.includes(name));

const CORES = Math.min(2, availableParallelism());
const started = performance.now();
const done = new Set();
const running = new Map();
let waiting = [...STEPS];

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

function busy() {
  return [...running.keys()].reduce((sum, step) => sum + (step.cores ?? 1), 0);
}

function startWhatCan() {
  for (const step of waiting) {
    const free = CORES - busy();
    const allDone = (step.after ?? []).every((name) => done.has(name));
    if (allDone && (step.cores ?? 1) <= Math.max(free, running.size === 0 ? Infinity : 0)) start(step);
  }
}

function start(step) {
  waiting = waiting.filter((other) => other !== step);
  const since = performance.now();
  const [command, ...args] = step.run;
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
  });
  const output = [];
  child.stdout.on('data', (chunk) => output.push(chunk));
  child.stderr.on('data', (chunk) => output.push(chunk));
  running.set(step, child);
  child.on('error', (error) => output.push(Buffer.from(`${error.message}\n`)));
  child.on('close', (code) => {
    running.delete(step);
    const text = Buffer.concat(output).toString();
    if (code !== 0) fail(step, since, text);
    done.add(step.name);
    console.log(`ok    ${step.name.padEnd(12)} ${seconds(since).padStart(7)}${summary(text)}`);
    if (done.size === STEPS.length) console.log(`check passed: ${STEPS.length} steps in ${seconds(started)}`);
    else startWhatCan();
  });
}

/** What vitest says at its end, for the line of its step. */
function summary(text) {
  const line = /^ *Tests +(.*)$/m.exec(text)?.[1];
  return line === undefined ? '' : `  ${line.trim()}`;
}

function fail(step, since, text) {
  for (const child of running.values()) child.kill();
  console.log(text);
  console.log(`FAIL  ${step.name.padEnd(12)} ${seconds(since).padStart(7)}  (${step.run.slice(step.run[0] === NODE ? 1 : 0).join(' ')})`);
  process.exit(1);
}

startWhatCan();
