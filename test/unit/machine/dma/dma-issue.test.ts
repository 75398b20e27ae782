import { expect, it } from 'vitest';
import { CoreMachine, PROBE } from '../../../kit/core-machine.ts';

const IOVA = 0x10_0000;

it('a held request that joins the ledger leaves the others where they are, and the order holds when they go', () => {
  const m = new CoreMachine();
  const page = m.allocPage();
  m.map(PROBE, IOVA, page);
  const first = m.write(PROBE, IOVA, 'a', { hold: 'issued' });
  const behind = m.write(PROBE, IOVA, 'b');
  const last = m.write(PROBE, IOVA, 'c', { hold: 'issued' });
  expect([first.reply, behind.reply, last.reply]).toEqual([undefined, undefined, undefined]);
  const [oldest] = m.call('ledger', { kind: 'ledger', bdf: PROBE }).entries;
  m.release(PROBE, oldest!.request);
  expect([first.reply, behind.reply]).toMatchObject([{ outcome: 'performed' }, { outcome: 'performed' }]);
  expect(last.reply).toBeUndefined();
  expect(m.text(page, 1)).toBe('b');
  m.release(PROBE);
  expect(last.reply).toMatchObject({ outcome: 'performed' });
  expect(m.text(page, 1)).toBe('c');
});

it('an operation of which a part is refused before it could be held ends when the held part has been let go', () => {
  const m = new CoreMachine();
  m.map(PROBE, IOVA, m.allocPage());
  const write = m.write(PROBE, IOVA + 4096 - 128, 'x'.repeat(256), { hold: 'translated' });
  expect(write.reply).toBeUndefined();
  m.release(PROBE);
  expect(write.reply).toMatchObject({ outcome: 'not-present', bytesDone: 128 });
});
