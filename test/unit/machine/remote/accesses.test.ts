/** Registers that an emulator answers: how they reach it, and what becomes of the host where it does not answer. */
import { describe, expect, it } from 'vitest';
import { BELOW, CoreMachine, PORT, port, remote } from '../../../kit/core-machine.ts';
import { answerAll, asked, claim, remoteBench, startRead, startWrite } from '../../../kit/remote-function.ts';

describe('posted writes', () => {
  it('are not answered, and a read behind them comes behind them', () => {
    const { m, emulator } = remoteBench({ postedWrites: true });
    const [write, read] = [startWrite(m, 0, 8, 5), startRead(m, 0, 8)];
    expect(write.reply).toMatchObject({ kind: 'ok' });
    expect(read.reply).toBeUndefined();
    const [first, second] = asked(emulator);
    expect(first).toMatchObject({ token: 0, call: { kind: 'region-write', offset: 8, valueLow: 5 } });
    m.answer(emulator, second?.token ?? 0, { kind: 'value', valueLow: 5, valueHigh: 0 });
    expect(read.reply).toMatchObject({ kind: 'region-read', valueLow: 5 });
  });

  it('owe nothing, so that the clock passes', () => {
    const { m } = remoteBench({ postedWrites: true }, { clock: 'manual' });
    startWrite(m, 0, 0, 1);
    expect(m.start({ kind: 'clock-advance', ns: 5, force: false }).reply).toMatchObject({ nowNs: 5 });
  });

  it('are not what a claim asks for that says nothing', () => {
    const { m, emulator } = remoteBench();
    const write = startWrite(m, 0, 0, 1);
    expect(write.reply).toBeUndefined();
    answerAll(m, emulator);
    expect(write.reply).toMatchObject({ kind: 'ok' });
  });
});

describe('widths', () => {
  it('that the emulator does not take are refused before it hears of them', () => {
    const { m, emulator } = remoteBench({ widths: 4 });
    for (const bytes of [1, 2, 8]) {
      const wrong = (): unknown => startRead(m, 0, 0, bytes);
      expect(wrong).toThrow(`takes accesses of 4 bytes, not of ${bytes}`);
      expect(() => startWrite(m, 0, 0, 1, bytes)).toThrow(`not of ${bytes}`);
    }
    expect(asked(emulator)).toEqual([]);
    startRead(m, 0, 0, 4);
    expect(asked(emulator)).toHaveLength(1);
    // Configuration space is the server's here.
    expect(startRead(m, 7, 0, 1).reply).toMatchObject({ kind: 'region-read' });
  });

  it('are 1, 2, 4 and 8 added up', () => {
    const m = new CoreMachine({ functions: [remote(BELOW), port()] });
    const emulator = m.attachPeer({ device: true });
    for (const widths of [0, 16]) expect(() => claim(m, emulator, { widths }, BELOW)).toThrow('1, 2, 4 and 8 added up');
    expect(m.info(BELOW).absent).toBe(true);
  });
});

/** Of Device Control 2: 50 us to 100 us. */
const RANGE_A = 1;
const TIMEOUT_US = 100;

function behindPort(terms = {}): ReturnType<typeof remoteBench> {
  const m = new CoreMachine({ clock: 'manual', functions: [port(), remote(BELOW)] });
  const emulator = m.attachPeer({ device: true });
  claim(m, emulator, terms, BELOW);
  return { m, emulator };
}

function express(m: CoreMachine, at: number): number {
  const byte = (offset: number): number =>
    m.call('region-read', { kind: 'region-read', bdf: at as never, region: 7, offset, bytes: 1 }).valueLow >>> 0;
  for (let place = byte(0x34); place !== 0; place = byte(place + 1)) if (byte(place) === 0x10) return place;
  throw new Error('no PCI Express capability');
}

function setTimeout2(m: CoreMachine, value: number): void {
  startWrite(m, 7, express(m, PORT) + 0x28, value, 2, PORT);
}

describe('the completion timeout of a read', () => {
  it("is that of the root port's Device Control 2: the host reads all ones, the port logs it, and who owes is named", () => {
    const { m, emulator } = behindPort();
    m.call('ok', { kind: 'error-reporting' });
    setTimeout2(m, RANGE_A);
    const read = startRead(m, 0, 4, 4, BELOW);
    m.advance(TIMEOUT_US / 1000 - 0.001, true);
    expect(read.reply).toBeUndefined();
    m.advance(0.001, true);
    expect(read.reply).toMatchObject({ kind: 'region-read', valueLow: 0xffff_ffff });
    const errors = m.events.filter((event) => event.kind === 'error');
    expect(errors).toMatchObject([{ bdf: PORT, error: 'completion-timeout' }]);
    expect(m.logs().join()).toContain(`completion timeout: peer ${emulator.id} has not answered a read of 4 bytes at 0x4 of BAR 0`);
  });

  it('is over when the answer comes, and an answer behind it changes nothing', () => {
    const { m, emulator } = behindPort();
    setTimeout2(m, RANGE_A);
    const first = startRead(m, 0, 0, 4, BELOW);
    answerAll(m, emulator, 7);
    expect(first.reply).toMatchObject({ valueLow: 7 });
    const late = startRead(m, 0, 0, 8, BELOW);
    m.advance(1, true);
    expect(late.reply).toMatchObject({ valueLow: 0xffff_ffff, valueHigh: -1 });
    answerAll(m, emulator, 9);
    expect(m.events.filter((event) => event.kind === 'log' && event.text.includes('timeout'))).toHaveLength(1);
    expect(m.machine.owedBy(emulator.id)).toBe(0);
  });

  it('passed, an answer is an Unexpected Completion of the port, advisory, with its header', () => {
    const { m, emulator } = behindPort();
    m.call('ok', { kind: 'error-reporting' });
    setTimeout2(m, RANGE_A);
    const read = startRead(m, 0, 0x14, 4, BELOW);
    m.advance(1, true);
    expect(read.reply).toMatchObject({ valueLow: 0xffff_ffff });
    answerAll(m, emulator, 9);
    const [, late] = m.events.filter((event) => event.kind === 'error');
    // Completion with data, one word; completer and 4 bytes; requester and lower address.
    const header = [0x4a00_0001, ((BELOW << 16) | 4) >>> 0, ((PORT << 16) | 0x14) >>> 0, 0];
    expect(late).toMatchObject({ bdf: PORT, error: 'unexpected-completion', severity: 'correctable', masked: true, header });
  });

  it('passed, an answer tells nothing after a reset of the function, nor does a connection that ends', () => {
    const { m, emulator } = behindPort();
    m.call('ok', { kind: 'error-reporting' });
    setTimeout2(m, RANGE_A);
    startRead(m, 0, 0, 4, BELOW);
    m.advance(1, true);
    const token = emulator.calls.splice(0)[0]!.token;
    m.start({ kind: 'reset-trigger', bdf: BELOW, method: 'flr' });
    m.answer(emulator, token, { kind: 'value', valueLow: 1, valueHigh: 0 });
    answerAll(m, emulator);
    startRead(m, 0, 0, 4, BELOW);
    m.advance(1, true);
    m.detachPeer(emulator);
    expect(m.events.filter((event) => event.kind === 'error' && event.error === 'unexpected-completion')).toEqual([]);
  });

  it('does not come where it is disabled', () => {
    const { m } = behindPort();
    setTimeout2(m, 0x10);
    const read = startRead(m, 0, 0, 4, BELOW);
    m.advance(100_000, true);
    expect(read.reply).toBeUndefined();
  });

  it('is none of a write: it is posted on the bus', () => {
    const { m } = behindPort();
    setTimeout2(m, RANGE_A);
    const write = startWrite(m, 0, 0, 1, 4, BELOW);
    m.advance(1000, true);
    expect(write.reply).toBeUndefined();
  });
});

describe('a peer that is silent past the watchdog', () => {
  it('is named to the host where the clock stands', () => {
    const { m, emulator } = behindPort();
    const [read, write] = [startRead(m, 0, 4, 2, BELOW), startWrite(m, 0, 8, 1, 4, BELOW)];
    m.silence(emulator);
    const code = 'ETIMEDOUT';
    expect(read.reply).toMatchObject({
      kind: 'refused',
      code,
      message: `peer ${emulator.id} has not answered a read of 2 bytes at 0x4 of BAR 0`,
    });
    expect(write.reply).toMatchObject({
      kind: 'refused',
      code,
      message: `peer ${emulator.id} has not answered a write of 4 bytes at 0x8 of BAR 0`,
    });
    answerAll(m, emulator);
  });

  it('costs a read its completion timeout where the clock passes', () => {
    const { m, emulator } = remoteBench();
    const read = startRead(m, 0, 0);
    expect(read.reply).toBeUndefined();
    m.silence(emulator);
    expect(read.reply).toMatchObject({ kind: 'region-read', valueLow: 0xffff_ffff });
  });
});
