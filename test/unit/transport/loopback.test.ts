import { describe, expect, it } from 'vitest';
import { loopbackPair, type Transport } from '../../../server/src/transport/index.ts';

function listen(transport: Transport): { readonly got: string[]; closed: string[] } {
  const log = { got: [] as string[], closed: [] as string[] };
  transport.start({
    message: (bytes) => log.got.push(Buffer.from(bytes).toString()),
    closed: (code, reason) => log.closed.push(`${code} ${reason}`),
  });
  return log;
}
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
const say = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('a loopback', () => {
  it('delivers in order, in a later turn, and counts what is under way', async () => {
    const [a, b] = loopbackPair();
    const heard = listen(b);
    listen(a);
    const written: number[] = [];
    a.send(say('one'), () => written.push(1));
    a.send(say('three'), () => written.push(2));
    expect(heard.got).toEqual([]);
    expect(a.bufferedBytes).toBe(8);
    await turn();
    expect(heard.got).toEqual(['one', 'three']);
    expect(written).toEqual([1, 2]);
    expect(a.bufferedBytes).toBe(0);
  });

  it('delivers the bytes as they were when they were sent', async () => {
    const [a, b] = loopbackPair();
    const { got } = listen(b);
    const bytes = say('first');
    a.send(bytes, () => bytes.fill(0x78));
    a.send(bytes);
    bytes.set(say('again'));
    await turn();
    expect(got).toEqual(['first', 'first']);
  });

  it('keeps what comes before the other end has started', async () => {
    const [a, b] = loopbackPair();
    a.send(say('early'));
    await turn();
    const heard = listen(b);
    await turn();
    expect(heard.got).toEqual(['early']);
  });

  it('closes after what was sent, at both ends, once, and then carries nothing', async () => {
    const [a, b] = loopbackPair();
    const near = listen(a);
    const far = listen(b);
    a.send(say('last'));
    a.close(1000, 'done');
    a.close(1001, 'again');
    b.send(say('too late'));
    let written = 0;
    a.send(say('after'), () => written++);
    await turn();
    await turn();
    expect(far).toEqual({ got: ['last'], closed: ['1000 done'] });
    expect(near).toEqual({ got: [], closed: ['1000 done'] });
    expect(written).toBe(1);
  });

  it('closes with 1009 on a message beyond what a socket takes', async () => {
    const [a, b] = loopbackPair();
    const near = listen(a);
    const far = listen(b);
    const most = (1 << 20) + (64 << 10) + 1024;
    a.send(new Uint8Array(most));
    await turn();
    expect(far.got.length).toBe(1);
    a.send(new Uint8Array(most + 1));
    await turn();
    expect(near.closed).toEqual(['1009 message too large']);
    expect(far.closed).toEqual(['1009 message too large']);
  });
});
