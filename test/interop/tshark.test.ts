/** A recorded reset in the hands of tshark: every field of every frame, by the name and with the value that it has. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { connect } from '../../client/src/index.ts';
import { loadContract } from '../../proto/contract-lock.mjs';
import { openRecording, startServer, type RunningServer } from '../../server/src/app/index.ts';
import { encodeRecord } from '../../server/src/rpc/index.ts';
import { iommud } from './cli-here.ts';
import { ROOT, TIMEOUT_MS } from './cli-process.ts';

const HAS_TSHARK = spawnSync('tshark', ['--version']).status === 0;
if (!HAS_TSHARK) console.log('note: there is no tshark here; what it makes of recordings is not tested (apt-get install tshark)');

const folder = mkdtempSync(join(tmpdir(), 'iommud-tshark-'));
const recorded = join(folder, 'lab.iommurec');
const packets = join(folder, 'lab.pcapng');
let server: RunningServer;

/** A reset of a function with a DMA in flight, by a host, while an owner of memory is asked; and one by REST. */
beforeAll(async () => {
  server = await startServer({ port: 0, logLevel: 'silent' });
  vi.stubEnv('IOMMUD_URL', server.url);
  await iommud('machine', 'create', '--name', 'lab');
  const answer = fetch(`${server.url}/v1/machines/lab/recording`);
  const file = answer.then((response) => response.arrayBuffer());
  await answer;
  const host = await connect(`${server.url}/v1/machines/lab/socket`, { roles: ['host', 'memory'], token: 'secret' });
  const fn = host.machine.function('00:02.0');
  const { address } = await host.machine.memory.alloc(4096);
  await fn.dma.map({ iova: 0xffff_8000_0000_0000n, address, bytes: 4096, access: 'rw' });
  await fn.model.write(0xffff_8000_0000_0000n, Buffer.from('hello'));
  const late = fn.model.write(0xffff_8000_0000_0000n, Buffer.from('late'), { hold: 'translated' }).catch(() => undefined);
  await fn.model.write(0x1000n, Buffer.from('rogue')).catch(() => undefined);
  await fn.reset({ method: 'flr', deadlineMs: 5 });
  await late;
  await host.close();
  const headers = { 'content-type': 'application/json' };
  await fetch(`${server.url}/v1/machines/lab/functions/00:02.0/reset`, {
    method: 'POST',
    headers,
    body: '{"method":"flr","deadlineMs":5}',
  });
  await fetch(`${server.url}/v1/machines/lab/recordings/1`, { method: 'DELETE' });
  writeFileSync(recorded, Buffer.from(await file));
}, TIMEOUT_MS);
afterAll(async () => {
  vi.unstubAllEnvs();
  await server.close();
  rmSync(folder, { recursive: true });
});

function tshark(...args: readonly string[]): string {
  const lua = `lua_script:${ROOT}client/wireshark/iommud.lua`;
  const proto = `uat:protobuf_search_paths:"${ROOT}proto","TRUE"`;
  return execFileSync('tshark', ['-X', lua, '-o', proto, '-o', 'protobuf.preload_protos:TRUE', '-r', packets, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, HOME: folder, WIRESHARK_CONFIG_DIR: join(folder, 'config') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

type Leaf = `${string} = ${string}`;

/** `name = value` of every field that is no message, as the .proto files have it. */
function leavesOf(bytes: Uint8Array): Leaf[] {
  const type = loadContract('proto').lookupType('iommud.v1.Record');
  const leaves: Leaf[] = [];
  const visit = (of: protobuf.Type, message: Record<string, unknown>): void => {
    for (const field of of.fieldsArray) {
      field.resolve();
      const value = Object.hasOwn(message, field.name) ? message[field.name] : undefined;
      if (value === undefined || value === null) continue;
      for (const item of (field.repeated ? value : [value]) as unknown[]) {
        if (field.resolvedType instanceof protobuf.Type) visit(field.resolvedType, item as Record<string, unknown>);
        else leaves.push(`pbf${of.fullName}.${field.name} = ${textOf(item)}`);
      }
    }
  };
  visit(type, type.decode(bytes));
  return leaves;
}

function textOf(value: unknown): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return String(value);
}

/** The same of a packet as tshark's JSON has it. */
function shownLeaves(layers: unknown, names: ReadonlySet<string>): Leaf[] {
  const leaves: Leaf[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inside] of Object.entries(value)) {
        if (names.has(key)) for (const item of Array.isArray(inside) ? inside : [inside]) leaves.push(`${key} = ${plain(String(item))}`);
        else visit(inside);
      }
    }
  };
  visit(layers);
  return leaves;
}

function plain(text: string): string {
  return /^([0-9a-f]{2}:)+[0-9a-f]{2}$/.test(text) ? text.replaceAll(':', '') : /^0x[0-9a-f]+$/.test(text) ? BigInt(text).toString() : text;
}

/** Fields that are no messages, by their full names. */
function leafNames(): Set<string> {
  const names = new Set<string>();
  const visit = (space: protobuf.NamespaceBase): void => {
    for (const item of space.nestedArray) {
      if (item instanceof protobuf.Type) {
        for (const field of item.fieldsArray)
          if (!(field.resolve().resolvedType instanceof protobuf.Type)) names.add(`pbf${item.fullName}.${field.name}`);
      }
      if (item instanceof protobuf.Namespace) visit(item);
    }
  };
  visit(loadContract('proto').lookup('iommud.v1') as protobuf.Namespace);
  return names;
}

// long: one recording, looked at in one way after the other
describe.skipIf(!HAS_TSHARK)('tshark', () => {
  beforeAll(async () => {
    const made = await iommud('trace', recorded, '--format', 'pcapng', '-o', packets);
    expect(made).toMatchObject({ code: 0, out: expect.stringContaining(`-r ${packets}`) as string });
  });

  it(
    'prints every field of every frame of a recorded reset, with its value',
    () => {
      const records = [...openRecording(readFileSync(recorded)).records()];
      const shown = JSON.parse(tshark('-T', 'json', '--no-duplicate-keys')) as { _source: { layers: unknown } }[];
      expect(shown).toHaveLength(records.length);
      const names = leafNames();
      let fields = 0;
      for (const [i, record] of records.entries()) {
        const wanted = leavesOf(encodeRecord(record)).toSorted();
        expect(shownLeaves(shown[i]!._source.layers, names).toSorted(), `packet ${i + 1}`).toEqual(wanted);
        fields += wanted.length;
      }
      expect(fields).toBeGreaterThan(150);
      const kinds = new Set(records.map(({ what }) => what.kind));
      expect([...kinds]).toEqual(
        expect.arrayContaining([
          'arrived',
          'received',
          'sent',
          'gone',
          'command',
          'reply',
          'opened',
          'session-received',
          'session-sent',
          'closed',
        ]),
      );
    },
    TIMEOUT_MS,
  );

  it(
    'has a line for each, with who, what and on which function, and finds calls by what is in them',
    () => {
      const lines = tshark('-T', 'fields', '-e', '_ws.col.Source', '-e', '_ws.col.Info', '-Y', 'iommud.body contains "reset_function"')
        .trim()
        .split('\n');
      expect(lines).toEqual(
        ['peer 1\tcall 5 reset_function 00:02.0', 'machine\treply 5 reset_function_reply'].map(
          (line) => expect.stringMatching(line.replace(/ \d /, ' \\d+ ')) as string,
        ),
      );
      const high = tshark('-T', 'fields', '-e', 'iommud.body', '-Y', 'pbf.iommud.v1.DmaMap.iova == 0xffff800000000000').trim();
      expect(high).toBe('dma_map');
      const times = tshark('-T', 'fields', '-e', 'frame.time_epoch', '-Y', 'iommud.kind == 2').trim().split('\n').map(Number);
      expect(Math.max(...times)).toBeGreaterThanOrEqual(0.1);
    },
    TIMEOUT_MS,
  );

  it(
    'tells a session from its Hello, whose token is struck out, to its close',
    () => {
      const lines = tshark('-T', 'fields', '-e', '_ws.col.Source', '-e', '_ws.col.Info', '-Y', 'iommud.connection').trim().split('\n');
      expect(lines.slice(0, 4)).toEqual([
        'connection 1\tis opened',
        'connection 1\tcall 1 hello',
        'machine\treply 1 hello_reply',
        'peer 1\tarrives',
      ]);
      expect(lines).toContainEqual(expect.stringMatching(/^machine\tevent \d+ window_event 00:02\.0$/));
      expect(lines.at(-1)).toMatch(/^peer 1\tis closed 1\d{3} /);
      expect(tshark('-T', 'fields', '-e', 'pbf.iommud.v1.Hello.token', '-Y', 'pbf.iommud.v1.Hello.token').trim()).toBe('(not recorded)');
      expect(readFileSync(packets).includes('secret')).toBe(false);
    },
    TIMEOUT_MS,
  );

  it(
    'links a reply with its call, and knows the connections as interfaces',
    () => {
      const pairs = tshark('-2', '-T', 'fields', '-e', 'frame.number', '-e', 'iommud.answers', '-Y', 'iommud.answers').trim().split('\n');
      const back = new Map(
        tshark('-2', '-T', 'fields', '-e', 'frame.number', '-e', 'iommud.answered', '-Y', 'iommud.answered')
          .trim()
          .split('\n')
          .map((line) => line.split('\t') as [string, string]),
      );
      expect(pairs.length).toBeGreaterThan(4);
      for (const line of pairs) {
        const [reply, call] = line.split('\t') as [string, string];
        expect(back.get(call)).toBe(reply);
      }
      const interfaces = new Set(tshark('-T', 'fields', '-e', 'frame.interface_name').trim().split('\n'));
      expect(interfaces).toEqual(new Set(['everybody', 'service', 'connection 1', 'peer 1']));
    },
    TIMEOUT_MS,
  );
});
