/**
 * What lspci says before and after an FLR of each function of a dump: the bits that PCIe Base r6.0 §6.6.2 has reset, and nothing else. Which
 * those are is stated here again, by offset and without the product's tables.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../client/src/index.ts';
import { startServer, type RunningServer } from '../../server/src/app/index.ts';
import { fromLspci } from '../../server/src/app/topology/index.ts';
import { formatBdf } from '../../server/src/core/base/index.ts';
import { ConfigSpace, formatLspci } from '../../server/src/core/pci/index.ts';

const OWN = fileURLToPath(new URL('../fixtures/lspci', import.meta.url));
const DATA = process.env['IOMMUD_DATA'];
const installed = spawnSync('lspci', ['--version']).status === 0;

function dumpsIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.lspci'))
    .map((name) => join(folder, name));
}
const dumps = [...dumpsIn(OWN), ...(DATA === undefined ? [] : dumpsIn(join(DATA, 'lspci')))].map((path) => ({
  name: basename(path),
  path,
}));

function lspci(file: string): readonly string[] {
  const run = spawnSync('lspci', ['-F', file, '-D', '-vvv'], { encoding: 'utf8', maxBuffer: 1 << 26, timeout: 60_000 });
  if (run.status !== 0) throw new Error(`lspci -F ${file} ended with ${run.status}: ${run.stderr}`);
  return run.stdout.split('\n');
}

/** Sets bits of an image to what a reset leaves: `bits` of the `bytes` at `at` become those of `value`. */
function put(image: Uint8Array, at: number, bytes: 1 | 2 | 4, bits: number, value = 0): void {
  for (let i = 0; i < bytes && at + i < image.length; i++) {
    const mask = (bits >>> (8 * i)) & 0xff;
    image[at + i] = (image[at + i]! & ~mask) | ((value >>> (8 * i)) & mask);
  }
}
const u16 = (image: Uint8Array, at: number): number => (image[at] ?? 0) | ((image[at + 1] ?? 0) << 8);
const u32 = (image: Uint8Array, at: number): number => (u16(image, at) | (u16(image, at + 2) << 16)) >>> 0;

interface Found {
  readonly id: number;
  readonly at: number;
  readonly extended: boolean;
  readonly end: number;
}

/** Both chains, in the simplest way: pointers that leave the space or come back end them. */
function chains(image: Uint8Array): readonly Found[] {
  const found: Omit<Found, 'end'>[] = [];
  const seen = new Set<number>();
  const first = (image[0x0e]! & 0x7f) === 2 ? 0x14 : 0x34;
  if ((image[6]! & 0x10) !== 0) {
    for (let at = image[first]! & 0xfc; at >= 0x40 && at + 4 <= Math.min(256, image.length) && !seen.has(at); at = image[at + 1]! & 0xfc) {
      if (image[at] === 0xff) break;
      seen.add(at);
      found.push({ id: image[at]!, at, extended: false });
    }
  }
  for (let at = image.length > 0x100 ? 0x100 : 0; at >= 0x100 && !seen.has(at); at = (u32(image, at) >>> 20) & 0xffc) {
    const header = u32(image, at);
    if (header === 0 || header === 0xffff_ffff) break;
    seen.add(at);
    found.push({ id: header & 0xffff, at, extended: true });
  }
  return found.map((one) => {
    const limit = one.extended ? image.length : Math.min(256, image.length);
    return { ...one, end: Math.min(limit, ...found.filter((other) => other.at > one.at).map((other) => other.at)) };
  });
}

function clearHeader(image: Uint8Array, isExpress: boolean): void {
  const type = image[0x0e]! & 0x7f;
  // Command and Status; Cache Line Size, Interrupt Line.
  put(image, 0x04, 2, isExpress ? 0x0547 : 0x07ff);
  put(image, 0x06, 2, 0xf900);
  for (const at of [0x0c, 0x3c]) put(image, at, 1, 0xff);
  if (!isExpress) put(image, 0x0d, 1, 0xff);
  if (type === 0) for (let bar = 0; bar < 6; bar++) bar += clearBar(image, 0x10 + 4 * bar, bar < 5);
  if (type === 0) put(image, 0x30, 4, 0xffff_f801);
}

/** The address, down to the alignment that it has: of what its size is nothing else tells. Returns how many more registers it took. */
function clearBar(image: Uint8Array, at: number, mayBeWide: boolean): number {
  const low = u32(image, at);
  if (low === 0) return 0;
  put(image, at, 4, (low & 1) === 1 ? 0xffff_fffc : 0xffff_fff0);
  const wide = mayBeWide && (low & 7) === 4;
  if (wide) put(image, at + 4, 4, 0xffff_ffff);
  return wide ? 1 : 0;
}

function express(image: Uint8Array, { at }: Found): void {
  const version = image[at + 2]! & 0xf;
  const type = (image[at + 2]! >> 4) & 0xf;
  const capabilities = u32(image, at + 4);
  const tags = ((capabilities & 0x20) !== 0 ? 0x100 : 0) | ((capabilities & 0x18) !== 0 ? 0x200 : 0);
  // Max_Payload_Size and Aux Power stay; relaxed ordering, no snoop and 512-byte reads are on.
  put(image, at + 8, 2, 0x781f | tags, 0x2810);
  put(image, at + 0xa, 2, 0x002f);
  const power = version > 1 && (u32(image, at + 0x24) & 0x0300_0000) !== 0;
  if (power) put(image, at + 0xa, 2, 0x40);
  if (version < 2) return;
  const offers = u32(image, at + 0x24);
  const has = (bit: number): boolean => (offers & (1 << bit)) !== 0;
  const endpoint = type === 0 || type === 1 || type === 9;
  const bits =
    ((offers & 0xf) === 0 ? 0 : 0xf) | (has(4) ? 0x10 : 0) | (endpoint ? 0x340 : 0) | (has(11) ? 0x400 : 0) | (has(17) ? 0x1000 : 0);
  put(image, at + 0x28, 2, bits | (has(18) || has(19) ? 0x6000 : 0) | (power ? 0x800 : 0));
}

/** What an FLR leaves of an endpoint: the whole of it by this file's own account. */
function afterFlr(before: Uint8Array): Uint8Array {
  const image = before.slice();
  const found = chains(before);
  const first = (id: number, extended: boolean): Found | undefined => found.find((one) => one.id === id && one.extended === extended);
  clearHeader(image, first(0x10, false) !== undefined);
  for (const one of found) {
    const { at, id, extended: isExtended } = one;
    if (!isExtended && id === 0x01) put(image, at + 4, 2, 3 | (dataRegister(before, at) ? 0x1e00 : 0));
    if (!isExtended && id === 0x05) msi(image, before, at);
    if (!isExtended && id === 0x07) {
      put(image, at + 2, 2, 0x7f, 2 | (((u16(before, at + 6) >> 7) & 7) << 4));
      put(image, at + 4, 4, 0x200c_0000);
    }
    if (!isExtended && id === 0x10) express(image, one);
    if (!isExtended && id === 0x11) put(image, at + 2, 2, 0xc000);
    if (!isExtended && id === 0x13) put(image, at + 5, 1, 1);
    if (isExtended) extendedAfterFlr(image, before, one);
  }
  return image;
}

function dataRegister(image: Uint8Array, at: number): boolean {
  return (image[at + 5]! & 0x60) !== 0 || image[at + 7] !== 0;
}

function msi(image: Uint8Array, before: Uint8Array, at: number): void {
  const flags = u16(before, at + 2);
  const data = (flags & 0x80) === 0 ? 8 : 12;
  put(image, at + 2, 2, 0x71 | ((flags & 0x200) !== 0 ? 0x400 : 0));
  put(image, at + 4, 4, 0xffff_fffc);
  if (data === 12) put(image, at + 8, 4, 0xffff_ffff);
  put(image, at + data, 2, 0xffff);
  if ((flags & 0x200) !== 0) put(image, at + data + 2, 2, 0xffff);
  const vectors = 2 ** (1 << Math.min(5, (flags >> 1) & 7)) - 1;
  if ((flags & 0x100) !== 0) for (const offset of [4, 8]) put(image, at + data + offset, 4, vectors);
}

/** AER is sticky, and so are Virtual Channels and L1 PM Substates by §6.6.2. */
function extendedAfterFlr(image: Uint8Array, before: Uint8Array, { id, at }: Found): void {
  if (id === 0x04) put(image, at + 4, 1, 0xff);
  if (id === 0x0d) put(image, at + 6, 2, before[at + 4]! & 0x7f);
  if (id === 0x0e) put(image, at + 6, 2, ((before[at + 4]! & 1) !== 0 ? 1 : 0) | ((before[at + 4]! & 2) !== 0 ? 0x72 : 0));
  if (id === 0x0f) put(image, at + 6, 2, 0x801f);
  if (id === 0x13) {
    put(image, at + 4, 2, 1);
    // Nothing that it asked for waits: Stopped.
    put(image, at + 6, 2, 0x103, 0x100);
    put(image, at + 0xc, 4, 0xffff_ffff);
  }
  if (id === 0x17) put(image, at + 8, 4, 0x307);
  if (id === 0x18) for (const offset of [4, 6]) put(image, at + offset, 2, 0x1fff);
  if (id === 0x1b) put(image, at + 6, 2, 1 | (before[at + 4]! & 6));
  if (id === 0x1f) put(image, at + 8, 4, 0xff01 | ((before[at + 4]! & 4) !== 0 ? 2 : 0));
  if (id === 0x10) {
    put(image, at + 8, 2, 0x19 | ((before[at + 4]! & 1) !== 0 ? 6 : 0) | ((before[at + 4]! & 4) !== 0 ? 0x20 : 0));
    if ((before[at + 4]! & 1) !== 0) put(image, at + 0xa, 2, 1);
    put(image, at + 0x10, 2, 0xffff);
    put(image, at + 0x20, 4, u32(before, at + 0x1c), 1);
    for (let bar = 0; bar < 6; bar++) bar += clearBar(image, at + 0x24 + 4 * bar, bar < 5);
  }
}

/** Functions that announce FLR in their dump, by PCI Express or by Advanced Features. */
function announces(image: Uint8Array): boolean {
  return chains(image).some(
    ({ id, at, extended }) =>
      !extended && ((id === 0x10 && (u32(image, at + 4) & (1 << 28)) !== 0) || (id === 0x13 && (image[at + 3]! & 3) === 3)),
  );
}

// lspci is the judge here: without it there is nothing to compare with, and the title says so. CI installs it.
describe.skipIf(!installed)(installed ? 'an FLR' : 'an FLR: SKIPPED, install pciutils', () => {
  const folder = mkdtempSync(join(tmpdir(), 'iommud-reset-'));
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ port: 0, logLevel: 'error' });
  });
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  function text(name: string, functions: Parameters<typeof formatLspci>[0]): readonly string[] {
    const path = join(folder, name);
    writeFileSync(path, formatLspci(functions, { hex: 'xxxx' }));
    return lspci(path);
  }

  test.each(dumps)('of every endpoint of $name changes what §6.6.2 resets, for lspci too', ({ path }) => {
    const functions = fromLspci(readFileSync(path, 'utf8')).functions.filter(({ config }) => (config[0x0e]! & 0x7f) === 0);
    const ours = functions.map(({ bdf, label, config, barBytes = [] }) => {
      const space = new ConfigSpace(config, { barBytes });
      space.reset('flr');
      return { bdf, label, config: space.image() };
    });
    for (const [i, { bdf, config }] of functions.entries()) {
      const expected = afterFlr(config);
      const wrong = expected.findIndex((byte, at) => byte !== ours[i]!.config[at]);
      const what = `${formatBdf(bdf)}: byte 0x${wrong.toString(16)} is ${ours[i]!.config[wrong]}, not ${expected[wrong]}`;
      expect(wrong, what).toBe(-1);
    }
    if (functions.length === 0) return;
    const expected = functions.map(({ bdf, label, config }) => ({ bdf, label, config: afterFlr(config) }));
    expect(text('ours.lspci', ours)).toEqual(text('expected.lspci', expected));
  });

  const announced = dumps.filter(({ path }) => fromLspci(readFileSync(path, 'utf8')).functions.some(({ config }) => announces(config)));

  test.each(announced)('of those of $name that announce one changes the same in a machine', async ({ path }) => {
    const dump = readFileSync(path, 'utf8');
    const body = JSON.stringify({ lspci: dump, ephemeral: true });
    const made = await fetch(`${server.url}/v1/machines`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    expect(made.status).toBe(201);
    await using connection = await connect(((await made.json()) as { socketUrl: string }).socketUrl);
    for (const { bdf, config } of fromLspci(dump).functions.filter((fn) => announces(fn.config))) {
      const fn = connection.machine.function(formatBdf(bdf));
      const control = chains(config).find(({ id, extended }) => !extended && id === 0x10);
      const advanced = chains(config).find(({ id, extended }) => !extended && id === 0x13);
      if (control !== undefined && (u32(config, control.at + 4) & (1 << 28)) !== 0) {
        await fn.config.write(control.at + 8, 2, u16(config, control.at + 8) | 0x8000);
      } else if (advanced !== undefined) {
        await fn.config.write(advanced.at + 4, 1, 1);
      }
      await connection.machine.clock.advance({ ms: 200 });
      const after = await fn.config.readBytes(0, config.length);
      const expected = afterFlr(config);
      const wrong = expected.findIndex((byte, at) => byte !== after[at]);
      expect(wrong, `${formatBdf(bdf)}: byte 0x${wrong.toString(16)} is ${after[wrong]}, not ${expected[wrong]}`).toBe(-1);
    }
  });
});
