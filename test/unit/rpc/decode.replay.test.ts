import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BODY, CONTRACT_VERSION } from '../../../proto/index.ts';
import { meaning, type Line } from '../../fixtures/session/meaning.ts';

const FOLDER = 'test/fixtures/session';
const recordings = readdirSync(FOLDER).filter((name) => name.endsWith('.jsonl'));

function linesOf(name: string): Line[] {
  const text = readFileSync(`${FOLDER}/${name}`, 'utf8').trimEnd();
  return text.split('\n').map((line) => JSON.parse(line) as Line);
}

describe('a recorded session', () => {
  it('is kept for every version of the contract', () => {
    expect(recordings.toSorted()).toEqual(['1.0.jsonl', '1.1.jsonl', '1.2.jsonl']);
    expect(recordings).toContain(`${CONTRACT_VERSION}.jsonl`);
  });

  it.each(recordings)('%s always means the same', (name) => {
    // A later version may have fields that nobody sent then.
    for (const line of linesOf(name)) expect(meaning(line.from, Uint8Array.from(Buffer.from(line.hex, 'hex')))).toMatchObject(line.means);
  });

  it('of this version has every body of the contract but those that a session sends in need only', () => {
    const seen = new Set(linesOf(`${CONTRACT_VERSION}.jsonl`).flatMap((line) => line.means.map((frame) => frame.body)));
    const unseen = Object.keys(BODY).filter((name) => !seen.has(name));
    expect(unseen).toEqual(['deviceResetReply', 'lost']);
  });
});
