import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { TRACE_KINDS } from '../../../server/src/core/base/index.ts';
import { openTraceFile, traceLine } from '../../../server/src/observe/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'iommud-trace-'));
afterAll(() => rmSync(folder, { recursive: true }));

const record = { kind: 'dma-issued', timeNs: 12, a: 0x0010, b: 7, c: 16, d: 4096 } as const;

describe('trace lines', () => {
  test('give the integers their names and the function its address', () => {
    expect(JSON.parse(traceLine(record))).toEqual({
      timeNs: 12,
      kind: 'dma-issued',
      function: '00:02.0',
      request: 7,
      page: 16,
      bytes: 4096,
    });
  });

  test('every kind can be written', () => {
    for (const kind of TRACE_KINDS) expect(JSON.parse(traceLine({ ...record, kind }))).toMatchObject({ kind, timeNs: 12 });
  });
});

describe('trace files', () => {
  test('hold every record in order, one a line', async () => {
    const path = join(folder, 'good.jsonl');
    const errors: string[] = [];
    const file = openTraceFile(path, (message) => errors.push(message));
    for (let i = 0; i < 5000; i++) file.sink({ ...record, b: i });
    await file.close();
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { request: number }).request)).toEqual(Array.from({ length: 5000 }, (_, i) => i));
    expect(errors).toEqual([]);
  });

  test('records faster than the disk are counted, not kept', async () => {
    const path = join(folder, 'fast.jsonl');
    const file = openTraceFile(path, () => undefined);
    // One turn of the event loop writes nothing, so this is all memory: some 80 MB of lines.
    for (let i = 0; i < 700_000; i++) file.sink(record);
    await new Promise((resolve) => {
      setTimeout(resolve, 1000);
    });
    file.sink(record);
    await file.close();
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    const lost = lines.map((line) => JSON.parse(line) as { kind: string; records?: number }).find((line) => line.kind === 'lost');
    expect(lost?.records).toBeGreaterThan(0);
    expect(lines.length - 1 + (lost?.records ?? 0)).toBe(700_001);
  });

  // Skipped where there is no /dev/full, the device of Linux that answers every write with ENOSPC.
  test.skipIf(!existsSync('/dev/full'))('a full disk is said once, and writing goes on into nothing', async () => {
    const errors: string[] = [];
    const file = openTraceFile('/dev/full', (message) => errors.push(message));
    for (let turn = 0; turn < 3; turn++) {
      for (let i = 0; i < 2000; i++) file.sink(record);
      await new Promise((resolve) => {
        setTimeout(resolve, 30);
      });
    }
    await file.close();
    expect(errors).toEqual(['trace file /dev/full: no space left on the disk (ENOSPC); the trace ends here, the machine goes on']);
  });

  test('a folder that is not there is said', async () => {
    const errors: string[] = [];
    const file = openTraceFile(join(folder, 'none', 'x.jsonl'), (message) => errors.push(message));
    file.sink(record);
    await file.close();
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/none\/x\.jsonl: ENOENT: no such file or directory; the trace ends here/);
  });
});
