/**
 * Machines from topology documents, read over their sockets and exported: Debian's lspci shows the tree and decodes every capability, without a
 * complaint.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../client/src/index.ts';
import { lspciText, startServer, type RunningServer } from '../../server/src/app/index.ts';

const EVERYTHING = fileURLToPath(new URL('../fixtures/topology/capabilities.yaml', import.meta.url));
const installed = spawnSync('lspci', ['--version']).status === 0;

/** What lspci writes in place of what it cannot follow, read or name. */
const COMPLAINTS = /<chain (broken|looped)>|<access denied>|<unreadable>|<null>|#[0-9a-f]{2}\b|Extended Capability ID|<overflow>/i;

function lspci(file: string, ...options: readonly string[]): string {
  const run = spawnSync('lspci', ['-F', file, ...options], { encoding: 'utf8', timeout: 60_000 });
  if (run.status !== 0) throw new Error(`lspci -F ${file} ${options.join(' ')} ended with ${run.status}: ${run.stderr}`);
  // It looks for the names of kernel modules too, which a container does not have.
  expect(run.stderr.replaceAll(/^.*libkmod.*\n/gm, '')).toBe('');
  return run.stdout;
}

// lspci is the judge here: without it there is nothing to compare with, and the title says so. CI installs it.
// long: every capability by name
describe.skipIf(!installed)(installed ? 'lspci of a machine' : 'lspci of a machine: SKIPPED, install pciutils', () => {
  const folder = mkdtempSync(join(tmpdir(), 'iommud-topology-'));
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ port: 0, logLevel: 'error' });
  });
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  /** The path of what is read of a machine over its socket. */
  async function exported(body: object): Promise<string> {
    const headers = { 'content-type': 'application/json' };
    const made = await fetch(`${server.url}/v1/machines`, { method: 'POST', headers, body: JSON.stringify({ ...body, ephemeral: true }) });
    expect(made.status, await made.clone().text()).toBe(201);
    await using connection = await connect(((await made.json()) as { socketUrl: string }).socketUrl);
    const functions = await connection.machine.functions();
    const dumped = [];
    for (const { function: at, label, configBytes } of functions) {
      dumped.push({ function: at, label, config: await connection.machine.function(at).config.readBytes(0, configBytes) });
    }
    const path = join(folder, 'machine.lspci');
    writeFileSync(path, lspciText(dumped, { hex: 'xxxx', domains: false }));
    return path;
  }

  test('that has every capability shows its tree and decodes them all', async () => {
    const path = await exported({ topology: readFileSync(EVERYTHING, 'utf8') });
    expect(lspci(path, '-t').trimEnd().split('\n')).toEqual([
      '-[0000:00]-+-00.0',
      '           +-01.0-[01-03]----00.0-[02-03]----00.0-[03]----00.0',
      '           +-03.0',
      '           \\-05.0-[04]----00.0',
    ]);
    const text = lspci(path, '-vvv');
    expect(COMPLAINTS.exec(text)?.[0]).toBe(undefined);
    const shown = [...text.matchAll(/^\tCapabilities: \[[0-9a-f]+(?: v\d)?\] (.*)$/gm)].map((match) => match[1] ?? '');
    for (const begins of [
      'Power Management version 3',
      'MSI: Enable- Count=1/4 Maskable+ 64bit+',
      'MSI-X: Enable- Count=8 Masked-',
      'PCI Advanced Features',
      'Vital Product Data',
      'PCI-X non-bridge device',
      'Subsystem: ',
      'Vendor Specific Information: Len=06',
      'Enhanced Allocation (EA): NumEntries=2',
      'Express (v2) Root Port (Slot+)',
      'Express (v2) Upstream Port',
      'Express (v2) Downstream Port (Slot-)',
      'Express (v2) Endpoint',
      'Advanced Error Reporting',
      'Access Control Services',
      'Alternative Routing-ID Interpretation (ARI)',
      'Address Translation Service (ATS)',
      'Page Request Interface (PRI)',
      'Process Address Space ID (PASID)',
      'Single Root I/O Virtualization (SR-IOV)',
      'Physical Resizable BAR',
      'Latency Tolerance Reporting',
      'Device Serial Number 00-11-22-33-44-55-66-77',
      'Downstream Port Containment',
      'Precision Time Measurement',
      'Designated Vendor-Specific: Vendor=1e98 ID=0000 Rev=1 Len=12',
      'Vendor Specific Information: ID=0001 Rev=0 Len=00c',
    ]) {
      expect(
        shown.some((line) => line.startsWith(begins)),
        begins,
      ).toBe(true);
    }
    for (const detail of [
      'FLReset+',
      'Slot #7, PowerLimit 25W',
      'CRSVisible+',
      'BAR 4: current size: 2MB, supported: 1MB 2MB 4MB',
      'RPExt+',
      'Initial VFs: 4, Total VFs: 4',
    ]) {
      expect(text).toContain(detail);
    }
  });

  test.each(['basic', 'switch', 'siblings', 'no-iommu'])('of the preset %s has no complaint', async (preset) => {
    const path = await exported({ preset });
    expect(COMPLAINTS.exec(lspci(path, '-vvv'))?.[0]).toBe(undefined);
    expect(lspci(path, '-t')).toContain('[0000:00]');
  });
});
