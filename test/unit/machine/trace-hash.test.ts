/** The hash covers who gave an input and who got an output, not only what it was. */
import { describe, expect, it } from 'vitest';
import { TraceHash } from '../../../server/src/core/machine/trace-hash.ts';
import { CoreMachine, PROBE, REMOTE, probe, remote, type TestPeer } from '../../kit/core-machine.ts';

type Roles = Parameters<CoreMachine['attachPeer']>[0];

function machine(): CoreMachine {
  return new CoreMachine({ functions: [probe(PROBE), remote(REMOTE)] });
}

/** The hash of a story told by two peers of these roles. */
function told(first: Roles, second: Roles, story: (m: CoreMachine, a: TestPeer, b: TestPeer) => void): string {
  const m = machine();
  const [a, b] = [m.attachPeer(first), m.attachPeer(second)];
  story(m, a, b);
  return m.hash();
}

const claim = (m: CoreMachine, by: TestPeer): void => void m.start({ kind: 'device-claim', bdf: REMOTE }, by.id);

describe('the trace hash', () => {
  it('tells by whom a command was given', () => {
    const roles = { device: true };
    expect(told(roles, roles, (m, a) => claim(m, a))).not.toBe(told(roles, roles, (m, _a, b) => claim(m, b)));
  });

  it('tells who left, and who was silent', () => {
    const hashes = [
      told({ memory: true }, { memory: true }, (m, a) => m.detachPeer(a)),
      told({ memory: true }, { memory: true }, (m, _a, b) => m.detachPeer(b)),
      told({ memory: true }, { memory: true }, (m, a) => m.silence(a)),
      told({ memory: true }, { memory: true }, (m, _a, b) => m.silence(b)),
    ];
    expect(new Set(hashes).size).toBe(4);
  });

  it('tells with which roles a peer came', () => {
    const nothing = (): void => undefined;
    expect(told({ memory: true }, {}, nothing)).not.toBe(told({ device: true }, {}, nothing));
  });

  it('tells what a peer answered, and what it was asked', () => {
    const OWNED = 0x4000_0000n;
    const read = (address: bigint, byte: number): string =>
      told({ memory: true }, {}, (m, owner) => {
        m.start({ kind: 'memory-claim', address: OWNED, bytes: 0x2000n, depth: 1 }, owner.id);
        m.map(PROBE, 0x1000, address);
        m.write(PROBE, 0x1000, '', { operation: 'read', bytes: 1, data: undefined, hold: 'performed' });
        m.answer(owner, owner.calls[0]!.token, { kind: 'data', data: Uint8Array.of(byte) });
      });
    expect(read(OWNED, 1)).not.toBe(read(OWNED, 2));
    expect(read(OWNED, 1)).toBe(read(OWNED, 1));
  });

  it('is of bytes, wherever they stand in their buffer, and tells a changed one', () => {
    const sum = (offset: number, bytes: number, changed = -1): string => {
      const buffer = new Uint8Array(offset + bytes).subarray(offset);
      for (let i = 0; i < bytes; i++) buffer[i] = i % 251;
      if (changed >= 0) buffer[changed]! ^= 1;
      const hash = new TraceHash();
      hash.addRead(buffer);
      hash.addBytes(buffer);
      return hash.digest();
    };
    for (const bytes of [0, 3, 1024, 1025, 4096, 4099]) {
      for (const offset of [1, 2, 3, 5]) expect(sum(offset, bytes), `${bytes} bytes at ${offset}`).toBe(sum(0, bytes));
      if (bytes > 0) expect(sum(1, bytes, bytes - 1)).not.toBe(sum(1, bytes));
    }
  });

  it('does not change with observers, whenever they come and go and whatever they ask', () => {
    const story = (m: CoreMachine, watched: boolean): string => {
      const early = watched ? m.attachPeer({ observer: true }) : undefined;
      const emulator = m.attachPeer({ device: true });
      claim(m, emulator);
      if (early !== undefined) {
        m.start({ kind: 'function-list' }, early.id);
        m.silence(early);
        m.detachPeer(early);
      }
      m.detachPeer(emulator);
      return m.hash();
    };
    expect(story(machine(), true)).toBe(story(machine(), false));
  });
});

describe('bytes in the trace hash', () => {
  const digest = (add: (hash: TraceHash) => void): string => {
    const hash = new TraceHash();
    add(hash);
    return hash.digest();
  };
  const filled = (bytes: number): Uint8Array => new Uint8Array(bytes).map((_, index) => index * 31);
  const changed = (bytes: Uint8Array, at: number): Uint8Array => bytes.with(at, bytes[at]! ^ 0x80);

  it.each([0, 1, 3, 4, 64, 1023, 1024])('every byte of a read of %i counts', (bytes) => {
    const whole = filled(bytes);
    const hashes = [whole, ...Array.from(whole, (_, at) => changed(whole, at))].map((data) => digest((hash) => hash.addRead(data)));
    expect(new Set(hashes).size).toBe(bytes + 1);
  });

  it('of a longer read its length counts, and a word in each 68 bytes', () => {
    const whole = filled(65_536);
    const original = digest((hash) => hash.addRead(whole));
    expect(digest((hash) => hash.addRead(whole.subarray(0, 65_532)))).not.toBe(original);
    for (let at = 0; at + 68 <= whole.length; at += 68)
      expect(digest((hash) => hash.addRead(changed(whole, at + (at % 4))))).not.toBe(original);
  });

  it('of an input every byte counts, whatever its size', () => {
    const whole = filled(65_536);
    const original = digest((hash) => hash.addBytes(whole));
    for (let at = 0; at < whole.length; at += 61) expect(digest((hash) => hash.addBytes(changed(whole, at)))).not.toBe(original);
  });
});
