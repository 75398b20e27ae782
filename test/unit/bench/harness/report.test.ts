import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeReport, readable, tableLine, writeReport } from '../../../bench/harness/report.ts';

const ROW = {
  name: 'a/b',
  value: 5e5,
  unit: '1/s',
  floor: 'tcp-echo',
  floorValue: 1e6,
  ratio: 0.5,
  rounds: 9,
  ratioMin: 0.4,
  ratioMax: 0.6,
} as const;

it.each([
  [0.0000231, 's', '23.1 µs'],
  [0.25, 's', '250 ms'],
  [412_345, '1/s', '412 k/s'],
  [1.234e9, 'B/s', '1.23 GB/s'],
  [96, 'B', '96 B'],
  [0, '1/s', '0 /s'],
] as const)('prints %d %s as %s', (value, unit, text) => {
  expect(readable(value, unit)).toBe(text);
});

it('tells on a line when cores were kept awake', () => {
  expect(tableLine(ROW, true)).toMatch(/^a\/b +500 k\/s +tcp-echo +1 M\/s +0\.500 +0\.40 … 0\.60 +9 +spinners$/);
  expect(tableLine(ROW, false)).not.toContain('spinners');
});

it('writes the file with the machine it ran on', () => {
  const folder = mkdtempSync(join(tmpdir(), 'iommud-report-'));
  try {
    writeReport(join(folder, 'bench.json'), makeReport([ROW]));
    const read: unknown = JSON.parse(readFileSync(join(folder, 'bench.json'), 'utf8'));
    expect(read).toEqual({ commit: expect.any(String), cpu: expect.stringMatching(/ × \d+$/), node: process.version, rows: [ROW] });
    expect(() => writeReport(join(folder, 'no', 'bench.json'), makeReport([]))).toThrow('bench.json');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
