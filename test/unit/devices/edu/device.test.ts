import { describe, expect, it } from 'vitest';
import { Edu } from '../../../../server/src/core/devices/edu/index.ts';
import { FakePorts } from '../../../kit/fake-ports.ts';

/** docs/specs/edu.rst of QEMU. */
const [IDENT, LIVENESS, FACTORIAL, STATUS, IRQ_STATUS, IRQ_RAISE, IRQ_ACK] = [0x00, 0x04, 0x08, 0x20, 0x24, 0x60, 0x64];
const [SOURCE, DESTINATION, COUNT, COMMAND] = [0x80, 0x88, 0x90, 0x98];
const BUFFER = 0x40000;
const MS = 1_000_000;
const NONE = 0xffff_ffff;

function make() {
  const ports = new FakePorts();
  const edu = new Edu(ports);
  const read = (offset: number, bytes = 4): number => edu.barRead(0, offset, bytes);
  const write = (offset: number, low: number, bytes = 4, high = 0): void => edu.barWrite(0, offset, bytes, low, high);
  const pass = (ns: number): void => {
    for (const id of ports.advance(ns)) edu.alarmRang(id);
  };
  const transfer = (from: number, to: number, bytes: number, command: number): void => {
    write(SOURCE, from);
    write(DESTINATION, to);
    write(COUNT, bytes);
    write(COMMAND, command);
  };
  return { edu, ports, read, write, pass, transfer };
}

describe('edu', () => {
  it('says what it is, and inverts', () => {
    const { read, write } = make();
    expect(read(IDENT)).toBe(0x0100_00ed);
    write(LIVENESS, 0x1234_5678);
    expect(read(LIVENESS)).toBe(0xedcb_a987);
  });

  it('knows only 4 bytes below 0x80, and 4 or 8 from there on', () => {
    const { edu, read, write } = make();
    expect([read(IDENT, 1), read(IDENT, 2), read(IDENT, 8), edu.barReadHigh(0, IDENT)]).toEqual([0xff, 0xffff, NONE, NONE]);
    write(LIVENESS, 0xff, 1);
    write(LIVENESS, 0xff, 8);
    expect(read(LIVENESS)).toBe(0);
    write(SOURCE, 0xffff, 2);
    expect(read(SOURCE)).toBe(0);
    write(SOURCE, 0x8765_4321, 8, 0x1);
    expect([read(SOURCE), read(SOURCE, 8), edu.barReadHigh(0, SOURCE), read(SOURCE, 2)]).toEqual([0x8765_4321, 0x8765_4321, 1, 0xffff]);
    write(SOURCE, 5);
    expect([read(SOURCE, 8), edu.barReadHigh(0, SOURCE)]).toEqual([5, 0]);
    expect([read(0x84), read(0x30), edu.barRead(1, 0, 2)]).toEqual([NONE, NONE, 0xffff]);
  });

  it('computes factorials in time, and is not disturbed meanwhile', () => {
    const { read, write, pass, ports } = make();
    write(FACTORIAL, 5);
    expect(read(STATUS)).toBe(1);
    write(FACTORIAL, 3);
    write(STATUS, 0xffff_ff7f);
    expect([read(STATUS), read(FACTORIAL)]).toEqual([1, 5]);
    pass(1000 * MS);
    expect([read(STATUS), read(FACTORIAL)]).toEqual([0, 120]);
    expect([ports.raised, ports.asserted]).toEqual([[], false]);
  });

  it.each([
    [0, 1],
    [1, 1],
    [12, 479_001_600],
    [13, 1_932_053_504],
    [34, 0],
    [0xffff_ffff, 0],
  ])('has %i! modulo 2^32', (of, value) => {
    const { read, write, pass } = make();
    write(FACTORIAL, of);
    pass(1000 * MS);
    expect(read(FACTORIAL)).toBe(value);
  });

  it('raises interrupt 1 for a factorial where asked, until it is acknowledged', () => {
    const { read, write, pass, ports } = make();
    write(STATUS, 0x80);
    write(FACTORIAL, 4);
    expect(read(STATUS)).toBe(0x81);
    pass(1000 * MS);
    expect([read(STATUS), read(IRQ_STATUS), ports.raised, ports.asserted]).toEqual([0x80, 1, [0], true]);
    write(IRQ_ACK, 1);
    expect([read(IRQ_STATUS), ports.asserted]).toEqual([0, false]);
  });

  it('raises what it is told, and holds its line while any value is there', () => {
    const { read, write, ports } = make();
    write(IRQ_RAISE, 0x8000_0001);
    write(IRQ_RAISE, 0x2);
    expect([read(IRQ_STATUS), ports.raised]).toEqual([0x8000_0003, [0, 0]]);
    write(IRQ_ACK, 0x8000_0001);
    expect([read(IRQ_STATUS), ports.asserted]).toEqual([2, true]);
    write(IRQ_STATUS, 0xff);
    write(IRQ_ACK, 2);
    expect([read(IRQ_STATUS), ports.asserted]).toEqual([0, false]);
    expect([read(IRQ_RAISE), read(IRQ_ACK)]).toEqual([NONE, NONE]);
  });

  it('reads RAM into its buffer 100 ms after the command, and writes it back', () => {
    const { edu, ports, read, pass, transfer } = make();
    transfer(0x1000, BUFFER + 8, 4, 1);
    expect(read(COMMAND)).toBe(1);
    pass(100 * MS - 1);
    expect(ports.started).toEqual([]);
    pass(1);
    expect(ports.started).toMatchObject([{ operation: 'read', iovaLow: 0x1000, iovaHigh: 0, bytes: 4, pasid: -1, translated: false }]);
    edu.dmaEnded(ports.take().tag, { outcome: 'performed', bytesDone: 4, data: Uint8Array.of(1, 2, 3, 4) });
    expect([read(COMMAND), ports.raised]).toEqual([0, []]);
    transfer(BUFFER + 6, 0x2000, 6, 7);
    pass(100 * MS);
    const back = ports.take();
    expect(back).toMatchObject({ operation: 'write', iovaLow: 0x2000, bytes: 6 });
    expect([...(back.data ?? [])]).toEqual([0, 0, 1, 2, 3, 4]);
    edu.dmaEnded(back.tag, { outcome: 'performed', bytesDone: 6, data: undefined });
    expect([read(COMMAND), read(IRQ_STATUS), ports.raised]).toEqual([6, 0x100, [0]]);
  });

  it('keeps source, destination and count while it transfers, and takes no second command', () => {
    const { ports, read, write, pass, transfer } = make();
    transfer(0x1000, BUFFER, 4, 1);
    transfer(0x5000, BUFFER + 1, 9, 3);
    expect([SOURCE, DESTINATION, COUNT, COMMAND].map((offset) => read(offset))).toEqual([0x1000, BUFFER, 4, 1]);
    pass(100 * MS);
    expect(ports.started).toHaveLength(1);
    write(COMMAND, 0);
    expect(read(COMMAND)).toBe(1);
  });

  it('has 28 address bits', () => {
    const { ports, pass, write, transfer } = make();
    transfer(0, BUFFER, 4, 1);
    pass(100 * MS);
    ports.take();
    const other = make();
    other.write(SOURCE, 0xf234_5678, 8, 0x9);
    other.write(DESTINATION, BUFFER);
    other.write(COUNT, 1);
    other.write(COMMAND, 1);
    other.pass(100 * MS);
    expect(other.ports.take()).toMatchObject({ iovaLow: 0x0234_5678, iovaHigh: 0 });
    write(COMMAND, 0);
  });

  it.each([
    ['before the buffer', BUFFER - 1, 1, 0],
    ['over its end', BUFFER + 4095, 2, 0],
    ['of more than it', BUFFER, 4097, 0],
    ['of 2^32 bytes and some', BUFFER, 4, 1],
    ['of none', BUFFER, 0, 0],
  ])('transfers nothing %s, and is done', (_, at, count, countHigh) => {
    const { ports, read, write, pass } = make();
    write(SOURCE, 0x1000);
    write(DESTINATION, at);
    write(COUNT, count, 8, countHigh);
    write(COMMAND, 5);
    pass(100 * MS);
    expect([ports.started, read(COMMAND), read(IRQ_STATUS)]).toEqual([[], 4, 0x100]);
  });

  it('keeps of a read that failed what came, and is done', () => {
    const { edu, ports, read, pass, transfer } = make();
    transfer(0x1000, BUFFER, 4, 1);
    pass(100 * MS);
    edu.dmaEnded(ports.take().tag, { outcome: 'not-present', bytesDone: 2, data: Uint8Array.of(7, 8) });
    expect(read(COMMAND)).toBe(0);
    transfer(BUFFER, 0x1000, 4, 3);
    pass(100 * MS);
    expect([...(ports.take().data ?? [])]).toEqual([7, 8, 0, 0]);
  });

  it('is as new after a reset, its line low', () => {
    const { edu, ports, read, write, transfer } = make();
    transfer(0x1000, BUFFER, 4, 1);
    write(IRQ_RAISE, 1);
    write(LIVENESS, 1);
    edu.reset();
    expect([LIVENESS, STATUS, IRQ_STATUS, SOURCE, COUNT, COMMAND].map((offset) => read(offset))).toEqual([0, 0, 0, 0, 0, 0]);
    expect(ports.asserted).toBe(false);
  });

  it('has its buffer in its state, in a copy', () => {
    const { edu, ports, pass, transfer } = make();
    transfer(0x1000, BUFFER, 2, 1);
    pass(100 * MS);
    edu.dmaEnded(ports.take().tag, { outcome: 'performed', bytesDone: 2, data: Uint8Array.of(7, 8) });
    const saved = edu.save();
    edu.reset();
    const other = make();
    other.edu.load(saved);
    other.transfer(BUFFER, 0x1000, 2, 3);
    other.pass(100 * MS);
    expect([...(other.ports.take().data ?? [])]).toEqual([7, 8]);
  });
});
