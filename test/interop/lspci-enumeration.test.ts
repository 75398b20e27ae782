/** A machine that an enumerator finds by ECAM alone, over its socket: Debian's lspci shows the tree with the bus numbers that it gave. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configAddress, connect } from '../../client/src/index.ts';
import { lspciText, startServer, type RunningServer } from '../../server/src/app/index.ts';
import { Enumerator, type Found } from '../kit/enumerator.ts';

const TOPOLOGY = `
schema: iommud.topology/v1
ecam: [{ address: "0xb0000000" }]
functions:
  - { address: "00:00.0", model: host-bridge }
  - address: "00:01.0"
    model: root-port
    bus: "40"
    children:
      - address: "00.0"
        model: upstream-port
        bus: "50"
        children:
          - { address: "00.0", model: downstream-port, bus: "60", children: [{ address: "00.0", model: dma-probe }] }
          - { address: "03.0", model: downstream-port, bus: "70", children: [{ address: "00.0", model: dma-probe }, { address: "00.1", model: dma-probe }] }
  - { address: "00:1e.0", model: pci-bridge, bus: "80", children: [{ address: "03.0", model: dma-probe }] }
`;
const ECAM = 0xb000_0000;
const CONFIG_BYTES = 256;
const installed = spawnSync('lspci', ['--version']).status === 0;

function place({ bus, devfn }: Pick<Found, 'bus' | 'devfn'>): string {
  return `${bus.toString(16).padStart(2, '0')}:${(devfn >> 3).toString(16).padStart(2, '0')}.${devfn & 7}`;
}

// lspci is the judge here: without it there is nothing to compare with, and the title says so. CI installs it.
describe.skipIf(!installed)(installed ? 'lspci of what firmware found' : 'lspci of what firmware found: SKIPPED, install pciutils', () => {
  const folder = mkdtempSync(join(tmpdir(), 'iommud-enumeration-'));
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ port: 0, logLevel: 'error' });
  });
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test('shows the tree by its own bus numbers', async () => {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ topology: TOPOLOGY, ephemeral: true });
    const made = await fetch(`${server.url}/v1/machines`, { method: 'POST', headers, body });
    expect(made.status, await made.clone().text()).toBe(201);
    await using connection = await connect(((await made.json()) as { socketUrl: string }).socketUrl);
    const { bus } = connection.machine;
    const at = (number: number, devfn: number, register: number): number =>
      ECAM + Number(configAddress(place({ bus: number, devfn }), register));
    const found = await new Enumerator({
      extended: true,
      read: (number, devfn, register, bytes) => bus.read(at(number, devfn, register), bytes),
      write: async (number, devfn, register, bytes, value) => void (await bus.write(at(number, devfn, register), bytes, value)),
    }).run();
    const dumped = await Promise.all(
      found.map(async ({ bus: number, devfn }) => {
        const config = new DataView(new ArrayBuffer(CONFIG_BYTES));
        for (let offset = 0; offset < CONFIG_BYTES; offset += 4)
          config.setUint32(offset, await bus.read(at(number, devfn, offset), 4), true);
        return { function: place({ bus: number, devfn }), label: '', config: new Uint8Array(config.buffer) };
      }),
    );
    const file = join(folder, 'found.lspci');
    writeFileSync(file, lspciText(dumped, { hex: 'xxx', domains: false }));
    const run = spawnSync('lspci', ['-F', file, '-t'], { encoding: 'utf8', timeout: 60_000 });
    expect(run.stdout.trimEnd().split('\n')).toEqual([
      '-[0000:00]-+-00.0',
      '           +-01.0-[01-04]----00.0-[02-04]--+-00.0-[03]----00.0',
      '           |                               \\-03.0-[04]--+-00.0',
      '           |                                            \\-00.1',
      '           \\-1e.0-[05]----03.0',
    ]);
  });
});
