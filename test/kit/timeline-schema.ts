/** Whether a text is a timeline that the Perfetto UI takes: the rules of the Trace Event Format, restated. */
import { expect } from 'vitest';

export interface Slice {
  readonly process: string;
  /** Of a thread; for a slice beside others its category. */
  readonly track: string;
  readonly name: string;
  readonly fromUs: number;
  readonly toUs: number;
  readonly args: Readonly<Record<string, unknown>>;
}

export interface ReadTimeline {
  readonly slices: readonly Slice[];
  readonly instants: readonly { readonly process: string; readonly track: string; readonly name: string; readonly us: number }[];
  /** Each from a slice that begins at its start to one that begins at its end. */
  readonly arrows: readonly { readonly name: string; readonly from: string; readonly to: string }[];
  readonly counters: readonly { readonly process: string; readonly name: string; readonly us: number; readonly value: number }[];
}

interface Event {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly cat?: string;
  readonly id2?: { readonly local?: string };
  readonly s?: string;
  readonly id?: number;
  readonly bp?: string;
  readonly args?: Record<string, unknown>;
}

const KEYS: Readonly<Record<string, readonly string[]>> = {
  B: ['ph', 'name', 'pid', 'tid', 'ts', 'args'],
  E: ['ph', 'name', 'pid', 'tid', 'ts', 'args'],
  b: ['ph', 'name', 'pid', 'tid', 'ts', 'args', 'cat', 'id2'],
  n: ['ph', 'name', 'pid', 'tid', 'ts', 'args', 'cat', 'id2'],
  e: ['ph', 'name', 'pid', 'tid', 'ts', 'args', 'cat', 'id2'],
  i: ['ph', 'name', 'pid', 'tid', 'ts', 'args', 's'],
  C: ['ph', 'name', 'pid', 'tid', 'ts', 'args'],
  s: ['ph', 'name', 'pid', 'tid', 'ts', 'cat', 'id'],
  f: ['ph', 'name', 'pid', 'tid', 'ts', 'cat', 'id', 'bp'],
  M: ['ph', 'name', 'pid', 'tid', 'args'],
};

/** Fails the test at the first rule that is broken. */
// long: one rule after the other
export function readTimeline(text: string): ReadTimeline {
  const file = JSON.parse(text) as { displayTimeUnit: string; traceEvents: Event[] };
  expect(Object.keys(file)).toEqual(['displayTimeUnit', 'traceEvents']);
  expect(file.displayTimeUnit).toBe('ns');
  const processes = new Map<number, string>();
  const threads = new Map<number, { readonly pid: number; readonly name: string }>();
  const nested = new Map<number, { readonly event: Event }[]>();
  const beside = new Map<string, Event>();
  const slices: Slice[] = [];
  const instants: { process: string; track: string; name: string; us: number }[] = [];
  const counters: { process: string; name: string; us: number; value: number }[] = [];
  const arrows: { name: string; from: string; to: string }[] = [];
  const arrowsFrom = new Map<string, string>();
  const ended = new Set<string>();
  let last = 0;
  const slice = (begin: Event, end: Event, track: string): void => {
    slices.push({
      process: processes.get(begin.pid)!,
      track,
      name: begin.name,
      fromUs: begin.ts!,
      toUs: end.ts!,
      args: { ...begin.args, ...end.args },
    });
  };
  for (const event of file.traceEvents) {
    const about = JSON.stringify(event);
    const allowed = KEYS[event.ph];
    expect(allowed, about).toBeDefined();
    expect(
      Object.keys(event).filter((key) => !allowed!.includes(key)),
      about,
    ).toEqual([]);
    expect(
      [typeof event.name, Number.isInteger(event.pid), event.pid > 0, Number.isInteger(event.tid), event.tid !== event.pid],
      about,
    ).toEqual(['string', true, true, true, true]);
    expect(event.name, about).not.toBe('');
    if (event.ph === 'M') {
      if (event.name === 'process_name') {
        expect(processes.has(event.pid), about).toBe(false);
        processes.set(event.pid, String(event.args!['name']));
      } else if (event.name === 'thread_name') {
        expect(threads.has(event.tid), about).toBe(false);
        threads.set(event.tid, { pid: event.pid, name: String(event.args!['name']) });
      } else expect([event.name, typeof event.args!['sort_index']], about).toEqual(['process_sort_index', 'number']);
      continue;
    }
    const { ts } = event;
    expect(Number.isFinite(ts) && ts! >= last, `${about} in order`).toBe(true);
    last = ts!;
    expect(processes.has(event.pid), about).toBe(true);
    const process = processes.get(event.pid)!;
    const thread = threads.get(event.tid);
    if (event.ph === 'C') {
      const values = Object.values(event.args!);
      expect(values.length === 1 && Number.isFinite(values[0]), about).toBe(true);
      counters.push({ process, name: event.name, us: ts!, value: Number(values[0]) });
    } else if (event.ph === 's' || event.ph === 'f') {
      // An arrow binds to the slice that is innermost there: here to one that begins in that moment.
      const within = nested.get(event.tid) ?? [];
      const bound = within.at(-1)?.event;
      expect([thread?.pid, bound?.ts, Number.isInteger(event.id)], about).toEqual([event.pid, ts, true]);
      const key = `${event.cat} ${event.name} ${event.id}`;
      const at = `${process} | ${thread!.name} | ${bound!.name}`;
      if (event.ph === 's') {
        expect(arrowsFrom.has(key), about).toBe(false);
        arrowsFrom.set(key, at);
      } else {
        expect([arrowsFrom.has(key), ended.has(key), event.bp], about).toEqual([true, false, 'e']);
        ended.add(key);
        arrows.push({ name: event.name, from: arrowsFrom.get(key)!, to: at });
      }
    } else if (event.cat === undefined) {
      expect(thread?.pid, about).toBe(event.pid);
      const stack = nested.get(event.tid) ?? [];
      nested.set(event.tid, stack);
      if (event.ph === 'i') {
        expect(event.s, about).toBe('t');
        instants.push({ process, track: thread!.name, name: event.name, us: ts! });
      } else if (event.ph === 'B') stack.push({ event });
      else {
        const begun = stack.pop();
        expect(begun?.event.name, `${about} ends what was begun last`).toBe(event.name);
        slice(begun!.event, event, thread!.name);
      }
    } else {
      const key = `${event.pid} ${event.cat} ${event.id2?.local}`;
      expect(event.id2?.local, about).toMatch(/./);
      if (event.ph === 'b') {
        expect(beside.has(key), about).toBe(false);
        beside.set(key, event);
      } else {
        const begun = beside.get(key);
        expect(begun, `${about} is open`).toBeDefined();
        if (event.ph === 'e') {
          expect(event.name, about).toBe(begun!.name);
          beside.delete(key);
          slice(begun!, event, event.cat);
        }
      }
    }
  }
  expect([...nested.values()].flat(), 'nothing is left open').toEqual([]);
  expect([...beside.values()], 'nothing is left open').toEqual([]);
  return { slices, instants, counters, arrows };
}
