import { beforeEach, describe, expect, it } from 'vitest';
import { BODY } from '../../../proto/index.ts';
import type { MachineEvent } from '../../../server/src/core/machine/index.ts';
import { EventFeed } from '../../../server/src/rpc/event-feed.ts';

let room = true;
/** While there is no room in general: so many events more. */
let roomFor = 0;
let sent: [number, number, Record<string, unknown>][] = [];
let lost = 0;
let feed: EventFeed;

beforeEach(() => {
  room = true;
  roomFor = 0;
  sent = [];
  lost = 0;
  feed = new EventFeed({
    hasRoom: () => room || roomFor > 0,
    resumes: () => room || roomFor > 0,
    event: (id, number, body) => {
      roomFor--;
      sent.push([id, number, body as Record<string, unknown>]);
    },
    lost: (count) => {
      lost += count;
    },
  });
  feed.choose(['fault', 'interrupt', 'window', 'log', 'trace']);
});

const log = (text: string): MachineEvent => ({ kind: 'log', level: 'info', bdf: undefined, text, timeNs: 0 });
const interrupt = (bdf: number, data: number, timeNs: number): MachineEvent =>
  ({ kind: 'interrupt', bdf, address: 0xfee0_0000n, data, count: 1, timeNs }) as unknown as MachineEvent;

describe('a feed whose receiver is slow', () => {
  it('drops events, counts them, and tells which when there is room', () => {
    feed.machine(log('a'));
    room = false;
    feed.machine(log('b'));
    feed.trace({ kind: 'gate', timeNs: 0, a: 0, b: 0, c: 0, d: 0 });
    feed.machine(log('c'));
    expect(sent.length).toBe(1);
    room = true;
    feed.machine(log('d'));
    expect(sent.slice(1)).toMatchObject([
      [0, BODY.lost, { from: 2, to: 4 }],
      [5, BODY.logEvent, { text: 'd' }],
    ]);
    expect(lost).toBe(3);
  });

  it('makes one of the interrupts of one function and vector, and loses none', () => {
    room = false;
    for (let i = 1; i <= 5; i++) feed.machine(interrupt(16, 1, i));
    feed.machine(interrupt(16, 2, 6));
    feed.machine(interrupt(17, 1, 7));
    expect([sent, lost]).toEqual([[], 0]);
    room = true;
    feed.resume();
    expect(sent).toMatchObject([
      [1, BODY.interruptEvent, { function: 16, data: 1, count: 5, timeNs: { low: 5 } }],
      [2, BODY.interruptEvent, { function: 16, data: 2, count: 1 }],
      [3, BODY.interruptEvent, { function: 17, data: 1, count: 1 }],
    ]);
    feed.resume();
    expect(sent.length).toBe(3);
  });

  it('keeps apart interrupts that were remapped otherwise, or raised otherwise', () => {
    room = false;
    const remapped = (vector: number): MachineEvent =>
      ({ ...interrupt(16, 1, 0), source: 3, remapped: { index: 8, vector, destination: 0 } }) as unknown as MachineEvent;
    for (const event of [interrupt(16, 1, 0), remapped(0x41), remapped(0x42), remapped(0x41)]) feed.machine(event);
    room = true;
    feed.resume();
    expect(sent).toMatchObject([
      [1, BODY.interruptEvent, { count: 1, sourceVector: null, remapped: null }],
      [2, BODY.interruptEvent, { count: 2, sourceVector: 3, remapped: { vector: 0x41 } }],
      [3, BODY.interruptEvent, { count: 1, remapped: { vector: 0x42 } }],
    ]);
  });

  it('keeps of INTx the last of each function', () => {
    room = false;
    const intx = (bdf: number, asserted: boolean): MachineEvent =>
      ({
        kind: 'intx',
        bdf,
        pin: 1,
        asserted,
        line: { device: 16, pin: 1 },
        sources: asserted ? 1 : 0,
        timeNs: 0,
      }) as unknown as MachineEvent;
    for (const event of [intx(16, true), intx(17, true), intx(16, false)]) feed.machine(event);
    room = true;
    feed.resume();
    expect(sent).toMatchObject([
      [1, BODY.intxEvent, { function: 16, asserted: false, lineSources: 0 }],
      [2, BODY.intxEvent, { function: 17, asserted: true }],
    ]);
    expect(lost).toBe(0);
  });

  it('holds back 2048 different interrupts and no more', () => {
    room = false;
    for (let i = 0; i < 2050; i++) feed.machine(interrupt(16, i, 0));
    feed.machine(interrupt(16, 5, 0));
    room = true;
    feed.resume();
    expect(lost).toBe(2);
    expect(sent[0]).toEqual([0, BODY.lost, { from: 1, to: 2 }]);
    expect(sent.length).toBe(1 + 2048);
  });

  it('sends what it held as far as there is room', () => {
    room = false;
    for (let i = 0; i < 3; i++) feed.machine(interrupt(16, i, 0));
    roomFor = 2;
    feed.resume();
    expect(sent.length).toBe(2);
    roomFor = 5;
    feed.resume();
    expect(sent.map(([id]) => id)).toEqual([1, 2, 3]);
  });
});

describe('a feed', () => {
  it('sends only what was chosen, numbered from 1', () => {
    feed.choose(['fault']);
    feed.machine(log('no'));
    feed.machine(interrupt(16, 1, 0));
    feed.trace({ kind: 'gate', timeNs: 0, a: 0, b: 0, c: 0, d: 0 });
    expect([sent, feed.nextNumber, feed.wants('trace'), feed.wants('fault')]).toEqual([[], 1, false, true]);
  });

  it('forgets interrupts that it held when they are chosen no longer', () => {
    room = false;
    feed.machine(interrupt(16, 1, 0));
    feed.choose(['log']);
    room = true;
    feed.machine(log('x'));
    expect(sent.map(([id, number]) => [id, number])).toEqual([[1, BODY.logEvent]]);
  });
});
