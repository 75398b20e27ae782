/**
 * `iommud sysfs` as programs that read a sysfs meet it: Debian's `lspci` must find on its folders what it finds in the dump of the same machine. The
 * project's own dumps always run; real ones run from the folder `lspci` in IOMMUD_DATA.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { connect } from '../../client/src/index.ts';
import { iommud, serviceForCommands } from './cli-here.ts';
import { ROOT } from './cli-process.ts';

const DATA = process.env['IOMMUD_DATA'];
const dumpsIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.lspci'))
    .map((name) => join(folder, name));
const dumps = [...dumpsIn(join(ROOT, 'test/fixtures/lspci')), ...(DATA === undefined ? [] : dumpsIn(join(DATA, 'lspci')))];
const hasLspci = spawnSync('lspci', ['--version']).status === 0;

const folder = mkdtempSync(join(tmpdir(), 'iommud-sysfs-'));
const server = serviceForCommands();
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
/** A machine's name, and an empty folder of its own. */
async function machine(...source: readonly string[]): Promise<{ name: string; dir: string }> {
  const name = `sysfs-${++made}`;
  expect(await iommud('machine', 'create', '--name', name, ...source)).toMatchObject({ code: 0 });
  return { name, dir: join(folder, name) };
}

function lspci(...args: readonly string[]): string {
  const run = spawnSync('lspci', args, { encoding: 'utf8', maxBuffer: 1 << 26, timeout: 60_000 });
  if (run.status !== 0) throw new Error(`lspci ${args.join(' ')} ended with ${run.status}: ${run.stderr}`);
  return run.stdout;
}

/**
 * Without what the two sources tell in their own ways: a sysfs has sizes and groups, no BAR whose size nobody knows, and no interrupt line where there
 * is no pin; and lspci 3.9 takes the width of a window from the flags of its resource, where it finds 64 bits in none.
 */
function withoutSysfsFacts(text: string): string {
  const only = /^\t(IOMMU group: |NUMA node: |Physical Slot: |Interrupt: pin \? |Region \d: (Memory at <unassigned>|I\/O ports at 0000$))/;
  const alike = (line: string): string => {
    const shown = line.replace(/ \[size=\w+\]/, '');
    return shown.includes('behind bridge') ? shown.replace(/ \[\d\d-bit\]/, '').replaceAll(/\b0{8}(?=\w{8}\b)/g, '') : shown;
  };
  return text
    .split('\n')
    .map(alike)
    .filter((line) => !only.test(line))
    .join('\n');
}

// lspci is the judge here: without it there is nothing to compare with, and the title says so. CI installs it.
describe.skipIf(!hasLspci)(`lspci${hasLspci ? '' : ' (missing, so this is SKIPPED: install pciutils)'} finds on the folders`, () => {
  it.each(dumps)('the functions of %s', async (dump) => {
    const { name, dir } = await machine('--lspci', dump);
    expect(await iommud('sysfs', name, dir)).toMatchObject({ code: 0, err: '' });
    const text = join(folder, `${name}.lspci`);
    writeFileSync(text, (await iommud('lspci', name, '-xxxx')).out);
    const tree = ['-A', 'linux-sysfs', '-O', `sysfs.path=${dir}`];
    for (const options of [['-t'], ['-nxxxx'], ['-nD']]) expect(lspci(...tree, ...options)).toBe(lspci('-F', text, ...options));
    expect(withoutSysfsFacts(lspci(...tree, '-nvvv'))).toBe(withoutSysfsFacts(lspci('-F', text, '-nvvv')));
    // The root of a sysfs is there too.
    expect(lspci('-A', 'linux-sysfs', '-O', `sysfs.path=${join(dir, 'bus/pci')}`, '-n')).toBe(lspci('-F', text, '-n'));
  });

  it('sizes, groups and the tree of a switch', async () => {
    const { name, dir } = await machine('--preset', 'switch');
    await iommud('sysfs', name, dir);
    const tree = ['-A', 'linux-sysfs', '-O', `sysfs.path=${dir}`];
    expect(
      lspci(...tree, '-t')
        .split('\n')
        .slice(0, 3),
    ).toEqual([
      '-[0000:00]-+-00.0',
      '           \\-01.0-[01-04]----00.0-[02-04]--+-00.0-[03]----00.0',
      '                                           \\-01.0-[04]----00.0',
    ]);
    const probe = lspci(...tree, '-nvv', '-s', '03:00.0');
    expect(probe).toMatch(/Region 0: Memory at \w+ \(32-bit, non-prefetchable\) \[size=4K\]/);
    expect(probe).toMatch(/Region 2: Memory at \w+ \(32-bit, non-prefetchable\) \[size=64K\]/);
    expect(probe).toContain(`IOMMU group: ${basename(readlinkSync(join(dir, 'devices/0000:03:00.0/iommu_group')))}`);
  });
});

describe('the folders', () => {
  it('lead from a function to the bridges above it, to its group, and back', async () => {
    const { name, dir } = await machine('--preset', 'siblings');
    const { out } = await iommud('sysfs', name, dir);
    expect(out).toMatch(/^\S+: 3 functions in 2 IOMMU groups, \d+ files and links\n$/);
    const at = join(dir, 'bus/pci/devices/0000:00:05.1');
    expect(realpathSync(at)).toBe(join(realpathSync(dir), 'pci0000:00/0000:00:05.1'));
    expect(readdirSync(join(at, 'iommu_group/devices')).toSorted()).toEqual(['0000:00:05.0', '0000:00:05.1']);
    expect(realpathSync(join(at, 'iommu_group/devices/0000:00:05.1'))).toBe(realpathSync(at));
    expect(realpathSync(join(at, 'subsystem'))).toBe(realpathSync(dir));
    const text = (file: string): string => readFileSync(join(at, file), 'utf8');
    expect([text('vendor'), text('device'), text('class'), text('numa_node')]).toEqual(['0x1234\n', '0x11d0\n', '0xff0000\n', '-1\n']);
    expect(text('reset_method')).toMatch(/^flr\b/);
    expect(statSync(join(at, 'reset')).mode & 0o777).toBe(0o200);
    expect(text('iommu_group/type')).toBe('DMA\n');
    expect(text('iommu_group/reserved_regions')).toBe('0x00000000fee00000 0x00000000feefffff msi\n');
    expect(statSync(join(at, 'config')).size).toBe(4096);
  });

  it('are below the folders of the bridges', async () => {
    const { name, dir } = await machine('--preset', 'switch');
    await iommud('sysfs', name, dir);
    const below = 'pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:01.0/0000:04:00.0';
    expect(realpathSync(join(dir, 'devices/0000:04:00.0'))).toBe(join(realpathSync(dir), below));
  });

  it('lead from a virtual function to the physical one, which has its identity, and back', async () => {
    const topology = join(folder, 'sriov.yaml');
    writeFileSync(
      topology,
      `schema: iommud.topology/v1
functions:
  - address: "00:01.0"
    model: root-port
    children: [{ address: "00.0", model: dma-probe, capabilities: { sriov: { vfs: 4, device: "0x4321" } } }]
`,
    );
    const { name, dir } = await machine('--topology', topology);
    await using connection = await connect(`${server.url.replace('http', 'ws')}/v1/machines/${name}/socket`);
    const physical = connection.machine.function('01:00.0');
    const [, second] = await physical.sriov.enable(2);
    await connection.machine.clock.advance({ ms: 100 });
    expect(await iommud('sysfs', name, dir)).toMatchObject({ code: 0, err: '' });
    const at = join(dir, 'devices/0000:01:00.0');
    const text = (path: string): string => readFileSync(path, 'utf8').trim();
    expect([text(join(at, 'sriov_numvfs')), text(join(at, 'sriov_totalvfs'))]).toEqual(['2', '4']);
    expect(basename(realpathSync(join(at, 'virtfn1')))).toBe(`0000:${second}`);
    expect(existsSync(join(at, 'virtfn2'))).toBe(false);
    expect(realpathSync(join(at, 'virtfn1/physfn'))).toBe(realpathSync(at));
    expect([text(join(at, 'virtfn0/vendor')), text(join(at, 'virtfn0/device'))]).toEqual(['0x1234', '0x4321']);
    expect(text(join(at, 'virtfn0/modalias'))).toMatch(/^pci:v00001234d00004321sv/);
  });

  it('of a machine without an IOMMU have no groups', async () => {
    const { name, dir } = await machine('--preset', 'no-iommu');
    await iommud('sysfs', name, dir);
    expect(existsSync(join(dir, 'kernel'))).toBe(false);
    expect(existsSync(join(dir, 'devices/0000:00:02.0/iommu_group'))).toBe(false);
  });

  it('are not written over others, nor where nothing can be', async () => {
    const { name, dir } = await machine();
    expect(await iommud('sysfs', name, dir)).toMatchObject({ code: 0 });
    const again = await iommud('sysfs', name, dir);
    expect(again).toEqual({ code: 2, out: '', err: `iommud: ${dir} is not empty; name a folder that is, or that is not there yet\n` });
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    expect(await iommud('sysfs', name, file)).toMatchObject({ code: 2, err: expect.stringContaining(`cannot write to ${file}`) });
    expect(await iommud('sysfs', 'nobody', join(folder, 'nobody'))).toMatchObject({ code: 4, err: expect.stringContaining('nobody') });
  });
});
