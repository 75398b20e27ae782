/**
 * `node test/interop/readme.mjs [--ran COMMAND] [PAGE...]`: runs the commands of the pages (README.md) as written, in a copy of the repository with
 * nothing built.
 *
 * A block fenced ```bash is run from its first line to its last, in the order of the page. One that starts a server
 * (`iommud serve`) is left running until the page's end. ```bash skip: reason is not run. Blocks of other languages are
 * not commands. A line that ends in `&& COMMAND` of `--ran` is run without it: whoever calls this has run it by itself.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const { values, positionals } = parseArgs({ options: { ran: { type: 'string', default: '' } }, allowPositionals: true });
const RAN = values.ran === '' ? undefined : ` && ${values.ran}`;
const PAGES = positionals.length > 0 ? positionals : ['README.md'];
const SERVER = /\biommud serve\b/;
/** How long a server may take to print its first line, which says that it is ready. */
const READY_MS_MAX = 60_000;
/** How long any other block may take: an installation and the whole suite, on a busy machine. Then it is ended, and what ran is printed. */
const BLOCK_MS_MAX = 390_000;
/** Process groups and folders that are there now; none is left behind, however this ends. */
const groups = new Set();
const folders = new Set();

/** `[{line, mode, text}]` of a page's bash blocks. */
function blocksOf(page) {
  const blocks = [];
  let open;
  for (const [index, line] of readFileSync(join(REPOSITORY, page), 'utf8').split('\n').entries()) {
    const fence = /^```(\S*)\s*(.*)$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open !== undefined) open = undefined;
    else {
      open = { line: index + 1, language: fence[1], mode: fence[2].trim(), lines: [] };
      if (open.language === 'bash') blocks.push(open);
    }
  }
  return blocks.map(({ line, mode, lines }) => ({ line, mode, text: lines.join('\n') }));
}

/** What a clone of this tree would hold, with changes that are not committed yet. */
function copyRepository() {
  const folder = mkdtempSync(join(tmpdir(), 'iommud-readme-'));
  folders.add(folder);
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: REPOSITORY,
    encoding: 'utf8',
  });
  for (const path of listed.split('\0').filter((name) => name !== '')) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    cpSync(join(REPOSITORY, path), join(folder, path));
  }
  execFileSync('git', ['init', '--quiet'], { cwd: folder });
  return folder;
}

/** In a process group of its own, so that ending it ends what it started. */
function bash(text, cwd, stdout) {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', text], { cwd, stdio: ['ignore', stdout, 'inherit'], detached: true });
  groups.add(child);
  return child;
}

/** Resolves to whether it ended with 0, within BLOCK_MS_MAX. */
function run(text, cwd) {
  return new Promise((resolve) => {
    const child = bash(text, cwd, 'inherit');
    const timer = setTimeout(() => {
      console.log(`--- not done after ${BLOCK_MS_MAX / 1000} s; what runs:`);
      spawnSync('ps', ['-eo', 'pid,ppid,pgid,etimes,time,stat,args', '--forest'], { stdio: 'inherit' });
      stop(child, 'SIGKILL');
    }, BLOCK_MS_MAX);
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

/** Resolves to the running server when it has printed a line, to undefined when it ended or stayed silent. */
function runInBackground(text, cwd) {
  return new Promise((resolve) => {
    const child = bash(text, cwd, 'pipe');
    const timer = setTimeout(() => {
      stop(child, 'SIGTERM');
      resolve(undefined);
    }, READY_MS_MAX);
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk);
      clearTimeout(timer);
      resolve(child);
    });
    child.on('exit', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}

/** Ends a block and what it started, also what outlived the block's shell. */
function stop(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function leaveNothing() {
  for (const child of groups) stop(child, 'SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
process.on('exit', leaveNothing);

function withoutRan(text) {
  const lines = text.split('\n');
  return lines.map((line) => (RAN !== undefined && line.endsWith(RAN) ? line.slice(0, -RAN.length) : line)).join('\n');
}

async function runPage(page) {
  const folder = copyRepository();
  const background = [];
  const results = [];
  for (const { line, mode, text } of blocksOf(page)) {
    const started = performance.now();
    console.log(`\n--- ${page}:${line} ${mode}\n${text}\n---`);
    if (/^skip: ?\S/.test(mode)) continue;
    const left = withoutRan(text);
    if (left !== text) console.log(`run as: ${left}`);
    if (mode !== '') {
      console.log(`unknown mark "${mode}" after \`\`\`bash`);
      results.push({ line, good: false, seconds: 0 });
    } else if (SERVER.test(text)) {
      const child = await runInBackground(left, folder);
      if (child !== undefined) background.push(child);
      results.push({ line, good: child !== undefined, seconds: (performance.now() - started) / 1000 });
    } else {
      const ended = await run(left, folder);
      results.push({ line, good: ended, seconds: (performance.now() - started) / 1000 });
    }
  }
  for (const child of background) {
    stop(child, 'SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  }
  for (const { line, good, seconds } of results) console.log(`${good ? 'ok  ' : 'FAIL'}  ${page}:${line}  ${seconds.toFixed(1)} s`);
  if (results.length === 0) console.log(`FAIL  ${page} has no block to run`);
  return results.length > 0 && results.every((result) => result.good);
}

let good = true;
for (const page of PAGES) good = (await runPage(page)) && good;
process.exit(good ? 0 : 1);
