import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { PRODUCT_VERSION } from '../../../../client/src/version.ts';

it('the client says the version of the package that it is in', () => {
  expect(PRODUCT_VERSION).toBe((JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version);
});
