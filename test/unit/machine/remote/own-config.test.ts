/** An emulator that keeps its configuration space: what it sees of it, and what of it the machine obeys. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../../../server/src/core/base/index.ts';
import { Machine } from '../../../../server/src/core/machine/index.ts';
import { MS, REMOTE, type CoreMachine, type TestPeer } from '../../../kit/core-machine.ts';
import { CONFIG, answerAll, asked, remoteBench, startRead, startWrite } from '../../../kit/remote-function.ts';

const COMMAND = 4;
const [MEMORY, MASTER] = [2, 4];
const IOVA = 0x1_0000;

function own(): { m: CoreMachine; emulator: TestPeer } {
  return remoteBench({ config: 'emulator' });
}
function write(m: CoreMachine, emulator: TestPeer, offset: number, value: number, bytes = 2): void {
  const pending = startWrite(m, CONFIG, offset, value, bytes);
  answerAll(m, emulator);
  expect(pending.reply).toMatchObject({ kind: 'ok' });
}
function dma(m: CoreMachine, emulator: TestPeer): string {
  const { reply } = m.start(
    { kind: 'dma-write', bdf: REMOTE, iovaLow: IOVA, iovaHigh: 0, data: Uint8Array.of(1), pasid: NO_PASID },
    emulator.id,
  );
  return reply?.kind === 'dma' ? reply.outcome : String(reply?.kind);
}

describe('accesses to configuration space', () => {
  it('reach the emulator, and the host gets what it says', () => {
    const { m, emulator } = own();
    const read = startRead(m, CONFIG, 0, 2);
    expect(emulator.calls).toMatchObject([{ call: { kind: 'region-read', region: CONFIG, offset: 0, bytes: 2 } }]);
    answerAll(m, emulator, 0xabcd);
    expect(read.reply).toMatchObject({ kind: 'region-read', valueLow: 0xabcd });
    const whole = m.start({ kind: 'config-read', bdf: REMOTE, offset: 0, bytes: 12 });
    for (const { token, call } of asked(emulator).toReversed()) {
      m.answer(emulator, token, { kind: 'value', valueLow: call.kind === 'region-read' ? 0x100 + call.offset : 0, valueHigh: 0 });
    }
    expect(whole.reply).toMatchObject({ kind: 'config-read', data: Uint8Array.of(0, 1, 0, 0, 4, 1, 0, 0, 8, 1, 0, 0) });
  });

  it('are answered also where writes to BARs are posted', () => {
    const { m, emulator } = remoteBench({ config: 'emulator', postedWrites: true });
    const pending = startWrite(m, CONFIG, COMMAND, 0, 2);
    expect(pending.reply).toBeUndefined();
    expect(emulator.calls[0]?.token).not.toBe(0);
    answerAll(m, emulator);
    expect(pending.reply).toMatchObject({ kind: 'ok' });
  });

  it("are refused with the emulator's own code", () => {
    const { m, emulator } = own();
    const pending = startWrite(m, CONFIG, COMMAND, 0, 2);
    m.answer(emulator, asked(emulator)[0]!.token, { kind: 'error', code: 'EIO', message: 'broken' });
    expect(pending.reply).toMatchObject({ kind: 'refused', code: 'EIO', message: 'broken' });
  });

  it('reach nobody while it is reset, and none of them the emulator of another claim', () => {
    const { m, emulator } = own();
    m.reset(REMOTE);
    asked(emulator);
    expect(startRead(m, CONFIG, 0, 2).reply).toMatchObject({ valueLow: 0xffff });
    expect(asked(emulator)).toEqual([]);
    const { m: kept, emulator: other } = remoteBench();
    expect(startRead(kept, CONFIG, 0, 2).reply).toMatchObject({ kind: 'region-read' });
    expect(asked(other)).toEqual([]);
  });
});

describe('what the machine obeys', () => {
  it('is what hosts write: Bus Master Enable gates its DMA, Memory Space Enable its BARs', () => {
    const { m, emulator } = own();
    m.map(REMOTE, IOVA, m.allocPage());
    expect(dma(m, emulator)).toBe('performed');
    write(m, emulator, COMMAND, MEMORY);
    expect(dma(m, emulator)).toBe('gate-closed');
    write(m, emulator, COMMAND, MASTER);
    expect(dma(m, emulator)).toBe('performed');
    expect(startRead(m, 0, 0).reply).toMatchObject({ valueLow: 0xffff_ffff });
    expect(asked(emulator)).toEqual([]);
  });

  it('stays so where the emulator reads otherwise, which is said once', () => {
    const { m, emulator } = own();
    write(m, emulator, COMMAND, MEMORY);
    for (let i = 0; i < 2; i++) {
      const read = startRead(m, CONFIG, COMMAND, 2);
      answerAll(m, emulator, MEMORY | MASTER);
      expect(read.reply).toMatchObject({ valueLow: MEMORY | MASTER });
    }
    const said = m.logs().filter((text) => text.includes('which the machine obeys'));
    expect(said).toEqual(['00:04.0: its emulator has 0x6 at 0x4 of configuration space where 0x2 was written, which the machine obeys']);
    // What is read-only is the emulator's own to say.
    const vendor = startRead(m, CONFIG, 0, 4);
    answerAll(m, emulator, 0x1111_2222);
    expect(vendor.reply).toMatchObject({ valueLow: 0x1111_2222 });
    expect(m.logs().filter((text) => text.includes('obeys'))).toHaveLength(1);
  });

  it('is told the emulator where the server writes: a reset brings its restored configuration space', () => {
    const { m, emulator } = own();
    write(m, emulator, COMMAND, MEMORY | MASTER);
    const reset = m.reset(REMOTE);
    const seen: string[] = [];
    for (let rounds = 0; rounds < 10 && reset.reply === undefined; rounds++) {
      for (const { token, call } of asked(emulator)) {
        seen.push(
          call.kind === 'region-write'
            ? `${call.offset.toString(16)}=${call.valueLow.toString(16)}${token === 0 ? ' posted' : ''}`
            : call.kind,
        );
        if (token !== 0) m.answer(emulator, token, { kind: 'ok' });
      }
    }
    for (const { token, call } of asked(emulator)) {
      seen.push(
        call.kind === 'region-write'
          ? `${call.offset.toString(16)}=${call.valueLow.toString(16)}${token === 0 ? ' posted' : ''}`
          : call.kind,
      );
    }
    expect(reset.reply).toMatchObject({ kind: 'reset' });
    const at = seen.indexOf('device-reset');
    expect(at).toBeGreaterThanOrEqual(0);
    // Before the reset pci_dev_save_and_disable() clears all of Command but INTx Disable.
    expect(seen.slice(0, at)).toContain('4=400 posted');
    expect(seen.slice(at + 1)).toContain('4=6 posted');
  });

  it('a Function Level Reset by configuration write reaches it as the write and as a reset', () => {
    const { m, emulator } = own();
    const byte = (offset: number): number => {
      const read = startRead(m, CONFIG, offset, 1);
      const [call] = asked(emulator);
      m.answer(emulator, call!.token, { kind: 'value', valueLow: m.info(REMOTE).configBytes > 0 ? image[offset]! : 0, valueHigh: 0 });
      return read.reply?.kind === 'region-read' ? read.reply.valueLow : -1;
    };
    const image = imageOf();
    let express = byte(0x34);
    while (byte(express) !== 0x10) express = byte(express + 1);
    startWrite(m, CONFIG, express + 8, 0x8000, 2);
    expect(asked(emulator).map(({ call }) => call.kind)).toEqual(['region-write', 'device-reset']);
  });
});

function imageOf(): Uint8Array {
  const { m, emulator } = remoteBench();
  m.detachPeer(emulator);
  const again = m.attachPeer({ device: true });
  const { reply } = m.start({ kind: 'device-claim', bdf: REMOTE }, again.id);
  if (reply?.kind !== 'device-claim') throw new Error('not claimed');
  return reply.config;
}

it('a machine is saved with a claim that keeps configuration space, and restored without its peer', () => {
  const { m, emulator } = own();
  write(m, emulator, COMMAND, MEMORY);
  m.start({ kind: 'device-alarm-set', bdf: REMOTE, alarm: 1, delayNs: 5 * MS }, emulator.id);
  const restored = Machine.restore(m.machine.save());
  expect(restored.absent()).toEqual([{ bdf: REMOTE, peer: emulator.id }]);
  const peer = restored.peerAttach({ host: false, device: true, memory: false, observer: false });
  restored.takeOutbox();
  restored.submit(peer, 1, { kind: 'device-claim', bdf: REMOTE, config: 'emulator' });
  const items = restored.takeOutbox();
  const reply = items.flatMap((item) => (item.type === 'reply' && item.reply.kind === 'device-claim' ? [item.reply] : []));
  expect(reply).toMatchObject([{ restarted: true }]);
  expect(reply[0]?.config[COMMAND]).toBe(MEMORY);
  expect(items.flatMap((item) => (item.type === 'call' ? [item.call.kind] : []))).toContain('device-reset');
});

it('an emulator that owes a configuration read holds the clock, and its completion timeout ends that', () => {
  const { m, emulator } = remoteBench({ config: 'emulator' }, { clock: 'manual' });
  const read = startRead(m, CONFIG, 0, 4);
  m.start({ kind: 'clock-advance', ns: 100 * MS, force: true });
  // The integrated function's own Device Control 2 has the default: 50 ms at most.
  expect(read.reply).toMatchObject({ valueLow: 0xffff_ffff });
  answerAll(m, emulator);
});
