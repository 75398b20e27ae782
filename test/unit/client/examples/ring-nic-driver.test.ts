import { expect, it } from 'vitest';
import { runExample } from './run-example.ts';

it('two cards send each other packets over a cable, and a ring without its mapping stops', async () => {
  expect((await runExample('ring-nic-driver')).trimEnd().split('\n')).toEqual([
    'the link is up',
    'from left to right',
    'one of 9000 bytes came in 5 descriptors',
    expect.stringMatching(/^1024 packets of 1500 bytes in order, 0 dropped: \d+ packets\/s$/),
    expect.stringMatching(/^00:03\.0: the transmit ring has stopped at descriptor \d+: fault, 0x1\w+$/),
    expect.stringMatching(/^00:03\.0 read 0x1\w+: not present$/),
  ]);
}, 60_000);
