import { expect, it } from 'vitest';
import { runExample } from './run-example.ts';

it('the remote function does its work, meets a fault, and is reset', async () => {
  expect((await runExample('remote-function')).trimEnd().split('\n')).toEqual([
    'status 1: MAKE ME LOUD',
    'status 2: 00:04.0 read 0x10000: not present',
    'reset by flr',
  ]);
}, 60_000);
