/** BARs of two functions at one address, while both decode. */
import { describe, expect, it } from 'vitest';
import { bdf } from '../../../../server/src/core/base/index.ts';
import { CoreMachine, probe } from '../../../kit/core-machine.ts';

const ONE = bdf(0, 0, 2, 0);
const OTHER = bdf(0, 0, 3, 0);
const ELSEWHERE = bdf(1, 0, 3, 0);
const BAR0 = 0x10;
const BAR2 = 0x18;
const COMMAND = 4;

function two(other = OTHER): CoreMachine {
  return new CoreMachine({ functions: [probe(ONE), probe(other)] });
}

function set(m: CoreMachine, at: typeof ONE, offset: number, value: number, bytes = 4): void {
  m.call('ok', { kind: 'region-write', bdf: at, region: 7, offset, bytes, valueLow: value, valueHigh: 0 });
}

describe('BARs that overlap', () => {
  it('are warned of when both decode, with both functions and BARs', () => {
    const m = two();
    set(m, ONE, BAR2, 0xe000_0000);
    expect(m.logs()).toEqual([]);
    set(m, OTHER, BAR0, 0xe000_f000);
    expect(m.logs()).toEqual([
      'BAR 0 of 00:03.0 at 0xe000f000 to 0xe000ffff overlaps BAR 2 of 00:02.0 at 0xe0000000 to 0xe000ffff; both decode',
    ]);
  });

  it('are no matter side by side, nor in another segment', () => {
    const m = two();
    set(m, ONE, BAR2, 0xe000_0000);
    set(m, OTHER, BAR0, 0xe001_0000);
    const apart = two(ELSEWHERE);
    set(apart, ONE, BAR2, 0xe000_0000);
    set(apart, ELSEWHERE, BAR2, 0xe000_0000);
    expect([...m.logs(), ...apart.logs()]).toEqual([]);
  });

  it('are no matter until both decode', () => {
    const m = two();
    set(m, OTHER, COMMAND, 0, 2);
    set(m, ONE, BAR2, 0xe000_0000);
    set(m, OTHER, BAR2, 0xe000_0000);
    expect(m.logs()).toEqual([]);
    set(m, OTHER, COMMAND, 2, 2);
    expect(m.logs()).toHaveLength(1);
  });
});
