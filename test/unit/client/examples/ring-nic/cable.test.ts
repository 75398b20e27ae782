import { describe, expect, it } from 'vitest';
import { cable, inbox, type Card } from '../../../../../client/examples/ring-nic/cable.ts';

const packet = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes);
const never = (): AbortSignal => new AbortController().signal;

async function settled(promise: void | Promise<void>): Promise<boolean> {
  const other = {};
  return (await Promise.race([promise, Promise.resolve(other)])) !== other;
}

describe('an inbox', () => {
  it('gives packets in the order in which they came, and holds back who has no room', async () => {
    const box = inbox(2);
    expect([box.put(packet(1), never()), box.put(packet(2), never())]).toEqual([undefined, undefined]);
    const [third, fourth] = [box.put(packet(3), never()), box.put(packet(4), never())];
    expect([box.length, await settled(third), await settled(fourth)]).toEqual([2, false, false]);
    box.shift();
    await third;
    expect([box.first(), box.length, await settled(fourth)]).toEqual([packet(2), 2, false]);
    box.shift();
    box.shift();
    await fourth;
    expect([box.first(), box.length]).toEqual([packet(4), 1]);
  });

  it('takes nothing of a sender that has given up', async () => {
    const box = inbox(1);
    const sender = new AbortController();
    void box.put(packet(1), never());
    const waiting = box.put(packet(2), sender.signal);
    sender.abort();
    await waiting;
    box.shift();
    expect(box.first()).toBeUndefined();
  });

  it('that is cleared lets everybody go, and counts them', async () => {
    const box = inbox(1);
    void box.put(packet(1), never());
    const waiting = [box.put(packet(2), never()), box.put(packet(3), never())];
    expect([box.clear(), box.length]).toEqual([3, 0]);
    for (const one of waiting) await one;
    expect(box.first()).toBeUndefined();
  });
});

describe('a cable', () => {
  const card = (log: string[], name: string): Card => ({
    receive: (data) => void log.push(`${name} has ${data.join(' ')}`),
    linkChanged: () => void log.push(`${name}: link`),
  });

  it('is up while both ends have a card, tells both, and brings packets to the other end', () => {
    const [left, right] = cable();
    const log: string[] = [];
    const pullLeft = left.plug(card(log, 'left'));
    expect([left.up(), log]).toEqual([false, []]);
    void left.send(packet(9), never());
    const pullRight = right.plug(card(log, 'right'));
    expect([left.up(), right.up(), log.splice(0)]).toEqual([true, true, ['left: link', 'right: link']]);
    void left.send(packet(1, 2), never());
    void right.send(packet(3), never());
    expect(log.splice(0)).toEqual(['right has 1 2', 'left has 3']);
    pullRight();
    expect([left.up(), log.splice(0)]).toEqual([false, ['left: link']]);
    pullRight();
    pullLeft();
    expect(log).toEqual([]);
  });

  it('has the newer card when the older one is pulled out late', () => {
    const [left, right] = cable();
    const log: string[] = [];
    right.plug(card(log, 'right'));
    const pullOld = left.plug(card(log, 'old'));
    left.plug(card(log, 'new'));
    log.length = 0;
    pullOld();
    void right.send(packet(7), never());
    expect([left.up(), log]).toEqual([true, ['new has 7']]);
  });
});
