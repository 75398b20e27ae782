import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BODY } from '../../../proto/index.ts';
import { meaning, type Line } from '../../fixtures/session/meaning.ts';

const FOLDER = 'test/fixtures/session';
const recordings = readdirSync(FOLDER).filter((name) => name.endsWith('.jsonl'));

function linesOf(name: string): Line[] {
  const text = readFileSync(`${FOLDER}/${name}`, 'utf8').trimEnd();
  return text.split('\n').map((line) => JSON.parse(line) as Line);
}

describe('a recorded session', () => {
  it('is kept for every version of the contract', () => {
    expect(recordings).toContain('1.0.jsonl');
  });

  it.each(recordings)('%s always means the same', (name) => {
    for (const line of linesOf(name)) expect(meaning(line.from, Uint8Array.from(Buffer.from(line.hex, 'hex')))).toEqual(line.means);
  });

  it('of version 1.0 has every body of the contract but those that a session sends in need only', () => {
    const seen = new Set(linesOf('1.0.jsonl').flatMap((line) => line.means.map((frame) => frame.body)));
    const version1 = Object.keys(BODY).filter((name) => !seen.has(name));
    expect(version1).toEqual(['deviceResetReply', 'lost']);
  });
});
