import { expect, it } from 'vitest';
import { runExample } from './run-example.ts';

it('the first program prints what it says', async () => {
  const lines = (await runExample('first-reset')).split('\n');
  expect(lines[0]).toBe("{ outcome: 'performed', requests: 1, bytes: 5 }");
  expect(lines[1]).toMatch(/^\{ outcome: 'not-present', requests: \d, bytes: 0, failedIova: 0x11000 \}$/);
  expect(lines[2]).toBe('00:02.0 write 0x11000: not present');
  const rest = lines.slice(3).join(' ').replaceAll(/\s+/g, ' ');
  expect(rest).toContain("method: 'flr'");
  expect(rest).toContain('aborted: 1');
  expect(rest).toContain("{ outcome: 'aborted', requests: 1, bytes: 0, failedIova: 0x10000, elapsedMs: 10 }");
}, 60_000);
