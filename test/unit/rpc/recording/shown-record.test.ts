import { describe, expect, it } from 'vitest';
import { BODY, KIND } from '../../../../proto/index.ts';
import { encodeBody, type Record, type What } from '../../../../server/src/rpc/recording/record.ts';
import { firstField, shownRecord } from '../../../../server/src/rpc/recording/shown-record.ts';

function shown(what: What, peer: number | undefined = 3): string {
  const record: Record = { timeNs: 12, input: undefined, peer, realNs: undefined, what };
  return shownRecord(record);
}

describe('a record in words', () => {
  it('has who, the call by its name, 64-bit values in hex, and the first bytes of data', () => {
    const body = encodeBody(BODY.memoryRead, { address: { low: -4096, high: 0xff }, bytes: 64, epoch: 2 });
    const data = new Uint8Array(40).fill(0xab);
    expect(shown({ kind: 'sent', frame: { id: 9, kind: KIND.call, number: BODY.memoryRead, body, data } })).toBe(
      `to peer 3: call 9 memoryRead {"address":"0xfffffff000","bytes":64,"epoch":2} with 40 bytes ${'ab'.repeat(32)}… at 12 ns`,
    );
  });

  it('has a frame of another contract by its number', () => {
    const frame = { id: 0, kind: KIND.call, number: 900, body: Uint8Array.of(1), data: undefined };
    expect(shown({ kind: 'received', frame })).toBe('from peer 3: call body 900 {} at 12 ns');
  });

  it('that is long is cut', () => {
    expect(shown({ kind: 'command', token: 4, json: 'x'.repeat(5000) }, 0)).toBe(`from the service: 4 ${'x'.repeat(2000)}… at 12 ns`);
  });

  it('and another differ first in a field, by its path', () => {
    const frame = (address: number, data?: Uint8Array): Record => ({
      timeNs: 1,
      input: undefined,
      peer: 1,
      realNs: undefined,
      what: {
        kind: 'sent',
        frame: {
          id: 1,
          kind: KIND.call,
          number: BODY.memoryRead,
          body: encodeBody(BODY.memoryRead, { address: { low: address, high: 0 }, bytes: 8 }),
          data,
        },
      },
    });
    const reply = (json: string): Record => ({
      timeNs: 1,
      input: undefined,
      peer: 0,
      realNs: undefined,
      what: { kind: 'reply', token: 1, json },
    });
    expect(firstField(frame(1), frame(2))).toBe('address: "0x1", and "0x2" came');
    expect(firstField(frame(1), frame(1, Uint8Array.of(7)))).toBe('data: nothing, and "07" came');
    expect(firstField({ ...frame(1), timeNs: 5 }, frame(1))).toBe('time: 5 ns, and 1 ns came');
    expect(firstField(reply('{"a":[1,{"b":2}]}'), reply('{"a":[1,{"b":3}]}'))).toBe('a[1].b: 2, and 3 came');
    expect(firstField(reply('{}'), frame(1))).toBeUndefined();
  });

  it('has whatever else happens', () => {
    const roles = { host: true, device: false, memory: true, observer: false };
    expect(shown({ kind: 'arrived', arrived: { id: 3, roles, client: 'lab 1', calls: [], asked: [] } })).toBe(
      'peer 3 arrives: lab 1 as host, memory at 12 ns',
    );
    expect(shown({ kind: 'gone', reason: '1000 done' })).toBe('peer 3 is gone: 1000 done at 12 ns');
    expect(shown({ kind: 'silent' })).toBe('peer 3 owes an answer for too long at 12 ns');
    expect(shown({ kind: 'alarm' }, undefined)).toBe('an alarm at 12 ns');
    expect(shown({ kind: 'command', token: 4, json: '{}' }, 0)).toBe('from the service: 4 {} at 12 ns');
    expect(shown({ kind: 'reply', token: 4, json: '{}' }, 0)).toBe('to the service: reply 4 {} at 12 ns');
  });
});
