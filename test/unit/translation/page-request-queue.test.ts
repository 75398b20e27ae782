import { describe, expect, it } from 'vitest';
import { NO_PASID, Trace, bdf, pasid, type TraceRecord } from '../../../server/src/core/base/index.ts';
import { PageRequestQueue, isStopMarker, type PageRequest } from '../../../server/src/core/translation/index.ts';

const AT = bdf(0, 0, 2, 0);

function request(fields: Partial<PageRequest> = {}): PageRequest {
  return { bdf: AT, pasid: NO_PASID, group: 3, serial: 1, page: 0x40, access: 1, privileged: false, last: true, ...fields };
}

function queueOf(entries: number): { queue: PageRequestQueue; dropped: () => readonly number[][] } {
  const records: TraceRecord[] = [];
  const trace = new Trace(() => 0);
  trace.listen((record) => records.push(record));
  const queue = new PageRequestQueue(trace, entries);
  return { queue, dropped: () => records.map(({ b, c, d }) => [b, c, d]) };
}

describe('a page request queue', () => {
  it('keeps requests in their order until software takes them, once', () => {
    const { queue } = queueOf(4);
    const [first, second] = [request({ last: false }), request({ page: 0x41 })];
    expect([queue.receive(first, true), queue.receive(second, true)]).toEqual([undefined, undefined]);
    expect(queue.take()).toEqual({ requests: [first, second], overflowed: false });
    expect(queue.take()).toEqual({ requests: [], overflowed: false });
  });

  it('answers Invalid Request for a context that has no page requests: to a last request, and to nothing else', () => {
    const { queue, dropped } = queueOf(4);
    expect(queue.receive(request(), false)).toBe('invalid');
    expect(queue.receive(request({ last: false }), false)).toBeUndefined();
    expect(queue.receive(request({ access: 0, pasid: pasid(5) }), false)).toBeUndefined();
    expect(queue.take()).toEqual({ requests: [], overflowed: false });
    expect(dropped()).toEqual([
      [3, 0x40, 1],
      [3, 0x40, 1],
      [3, 0x40, 1],
    ]);
  });

  it('takes in as many as it has entries, and answers Success to last requests beyond', () => {
    const { queue, dropped } = queueOf(2);
    const kept = [request({ last: false }), request({ group: 4 })];
    for (const each of kept) expect(queue.receive(each, true)).toBeUndefined();
    expect(queue.receive(request({ last: false, page: 0x50 }), true)).toBeUndefined();
    expect(queue.receive(request({ page: 0x51 }), true)).toBe('success');
    expect(queue.receive(request({ access: 0, pasid: pasid(5), page: 0 }), true)).toBeUndefined();
    expect(queue.take()).toEqual({ requests: kept, overflowed: true });
    expect(dropped()).toEqual([
      [3, 0x50, 0],
      [3, 0x51, 0],
      [3, 0, 0],
    ]);
  });

  it('takes in again what comes after software has looked', () => {
    const { queue } = queueOf(1);
    queue.receive(request(), true);
    expect(queue.receive(request(), true)).toBe('success');
    queue.take();
    expect(queue.receive(request(), true)).toBeUndefined();
    expect(queue.take()).toMatchObject({ requests: [{ group: 3 }], overflowed: false });
  });

  it('refuses before it looks at its room: a function that may not ask causes no overflow', () => {
    const { queue } = queueOf(1);
    queue.receive(request(), true);
    expect(queue.receive(request(), false)).toBe('invalid');
    expect(queue.take().overflowed).toBe(false);
  });

  it('knows a Stop Marker: last, with a PASID, and wanting nothing', () => {
    const marker = request({ pasid: pasid(5), access: 0 });
    expect(isStopMarker(marker)).toBe(true);
    expect([{ pasid: NO_PASID }, { access: 1 }, { last: false }].map((but) => isStopMarker({ ...marker, ...but }))).toEqual([
      false,
      false,
      false,
    ]);
  });
});
