import { describe, expect, it } from 'vitest';
import { DmaProbe } from '../../../../server/src/core/devices/dma-probe/index.ts';
import { FakePorts } from '../../../kit/fake-ports.ts';

const [IDENT, VERSION, SCRATCH, STARTED, ENDED] = [0x00, 0x04, 0x08, 0x0c, 0x10];

describe('dma-probe registers', () => {
  it('say what it is, by dword and by part', () => {
    const probe = new DmaProbe(new FakePorts());
    expect(probe.barRead(0, IDENT, 4)).toBe(0x4252_5044);
    expect([probe.barRead(0, IDENT, 1), probe.barRead(0, IDENT + 2, 2)]).toEqual([0x44, 0x4252]);
    expect(probe.barRead(0, VERSION, 4)).toBe(2);
  });

  it('keep what is written to scratch, and only there', () => {
    const probe = new DmaProbe(new FakePorts());
    probe.barWrite(0, SCRATCH, 4, 0xaabb_ccdd);
    probe.barWrite(0, SCRATCH + 1, 1, 0x11);
    expect(probe.barRead(0, SCRATCH, 4)).toBe(0xaabb_11dd);
    probe.barWrite(0, IDENT, 4, 0);
    probe.barWrite(0, STARTED, 4, 99);
    expect([probe.barRead(0, IDENT, 4), probe.barRead(0, STARTED, 4)]).toEqual([0x4252_5044, 0]);
  });

  it('count operations, and are as new after a reset', () => {
    const probe = new DmaProbe(new FakePorts());
    probe.operationStarted();
    probe.operationStarted();
    probe.operationEnded();
    expect([probe.barRead(0, STARTED, 4), probe.barRead(0, ENDED, 4)]).toEqual([2, 1]);
    probe.barWrite(0, SCRATCH, 4, 1);
    probe.reset();
    expect([STARTED, ENDED, SCRATCH].map((offset) => probe.barRead(0, offset, 4))).toEqual([0, 0, 0]);
  });

  it('are all ones where nothing is', () => {
    const probe = new DmaProbe(new FakePorts());
    expect([probe.barRead(0, 0x40, 4), probe.barRead(0, 0x40, 2), probe.barRead(1, 0, 1)]).toEqual([0xffff_ffff, 0xffff, 0xff]);
  });
});
