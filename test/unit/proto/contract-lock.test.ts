import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { acceptContract, compareContract, describeContract, loadContract, type Lock } from '../../../proto/contract-lock.mjs';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** The contract after a change of the text of one .proto file. */
function changed(file: string, from: string, to: string): ReturnType<typeof describeContract> {
  const folder = mkdtempSync(join(tmpdir(), 'iommud-contract-'));
  folders.push(folder);
  cpSync('proto/iommud', join(folder, 'iommud'), { recursive: true });
  const path = join(folder, 'iommud/v1', file);
  const text = readFileSync(path, 'utf8');
  expect(text).toContain(from);
  writeFileSync(path, text.replace(from, to));
  return describeContract(loadContract(folder));
}

const now = describeContract(loadContract('proto'));
const lock: Lock = { live: now.live, retired: {} };

describe('the lock of the contract', () => {
  it('is what the .proto files say', () => {
    const committed = JSON.parse(readFileSync('proto/contract.lock.json', 'utf8')) as Lock;
    expect(compareContract(committed, now)).toEqual([]);
  });

  it.each([
    ['removed', 'pci.proto', '  optional uint32 region = 2;', '', 'RegionRead 2 (optional uint32 region) was removed'],
    [
      'renumbered',
      'pci.proto',
      'optional uint32 region = 2;',
      'optional uint32 region = 9;',
      'RegionRead 2 (optional uint32 region) was removed',
    ],
    [
      'renamed',
      'pci.proto',
      'optional uint32 region = 2;',
      'optional uint32 area = 2;',
      'RegionRead 2 (optional uint32 region) became optional uint32 area',
    ],
    ['retyped', 'pci.proto', 'optional uint32 region = 2;', 'optional fixed32 region = 2;', 'became optional fixed32 region'],
    ['made needless', 'pci.proto', 'optional uint32 region = 2;', 'uint32 region = 2;', 'became uint32 region'],
    ['an enum value', 'session.proto', 'ROLE_MEMORY = 3;', 'ROLE_MEMORY = 7;', 'Role 3 (ROLE_MEMORY) was removed'],
    ['a body', 'frame.proto', 'Lost lost = 1025;', 'Lost lost = 1099;', 'Frame 1025 (Lost lost) was removed'],
  ])('a field that was %s breaks it', (_what, file, from, to, sentence) => {
    const problems = compareContract(lock, changed(file, from, to));
    expect(problems.some((problem) => problem.includes(sentence))).toBe(true);
  });

  it('wants every addition accepted', () => {
    const more = changed('session.proto', '  uint32 to = 2;', '  uint32 to = 2;\n  uint32 reason = 3;');
    expect(compareContract(lock, more)).toEqual([
      'Lost 3 (uint32 reason) is not in contract.lock.json; run node proto/generate.mjs --accept',
    ]);
    const accepted = acceptContract(lock, more);
    expect(accepted.refused).toEqual([]);
    expect(compareContract(accepted.lock, more)).toEqual([]);
  });

  it('lets a field go only when its number stays reserved, for ever', () => {
    const gone = changed('session.proto', '  uint32 to = 2;', '');
    expect(acceptContract(lock, gone).refused).toEqual(['Lost 2 (uint32 to) was removed and its number is not reserved in the .proto']);
    const reserved = changed('session.proto', '  uint32 to = 2;', '  reserved 2;');
    const accepted = acceptContract(lock, reserved);
    expect(accepted.refused).toEqual([]);
    expect(compareContract(accepted.lock, reserved)).toEqual([]);
    expect(compareContract(accepted.lock, gone)).toEqual(['Lost 2 is retired and must stay reserved']);
    const reused = changed('session.proto', '  uint32 to = 2;', '  bool late = 2;');
    expect(compareContract(accepted.lock, reused)).toContain('Lost 2 is retired and may not be used again (bool late)');
  });

  it('never accepts another meaning for a number', () => {
    const renamed = changed('session.proto', 'uint32 to = 2;', 'uint32 until = 2;');
    expect(acceptContract(lock, renamed).refused).toEqual(['Lost 2 (uint32 to) became uint32 until; give the new one a new number']);
  });

  it('does not load a .proto that uses a reserved number', () => {
    expect(() => changed('frame.proto', 'Hello hello = 18;', 'Hello hello = 17;')).toThrow(/17/);
  });
});

describe('the numbers of bodies', () => {
  const bodies = Object.entries(now.live['Frame'] ?? {})
    .map(([number, entry]) => [Number(number), entry.split(' ')[0] ?? ''] as const)
    .filter(([number]) => number >= 16);

  it('pair each call with its reply: even, and one more', () => {
    const calls = bodies.filter(([number]) => number > 16 && number < 1024 && number % 2 === 0);
    const replies = bodies.filter(([number]) => number < 1024 && number % 2 === 1);
    expect(replies).toEqual(calls.map(([number, name]) => [number + 1, `${name}Reply`]));
    expect(calls.length).toBe(98);
  });

  it('keep events apart', () => {
    expect(bodies.filter(([number]) => number >= 1024).map(([, name]) => name)).toEqual([
      'Draining',
      'Lost',
      'FaultEvent',
      'InterruptEvent',
      'WindowEvent',
      'LogEvent',
      'TraceEvent',
      'IntxEvent',
      'HotplugEvent',
      'ErrorEvent',
      'PageFaultEvent',
      'DriverCallbackEvent',
      'MemoryEvent',
    ]);
  });
});
