import { expect, it } from 'vitest';
import { runExample } from './run-example.ts';

it('the memory owner sees each request of the function', async () => {
  expect((await runExample('memory-owner')).trimEnd().split('\n')).toEqual([
    'write 2 bytes at +0xffe',
    'write 11 bytes at +0x1000',
    expect.stringMatching(/^\{ outcome: 'performed', requests: 2, bytes: 13.*\}$/),
    'read  2 bytes at +0xffe',
    'read  11 bytes at +0x1000',
    'over the edge',
  ]);
}, 60_000);
