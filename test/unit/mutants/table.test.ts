/** What can be said of the seeded defects without running them. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { seeded, type Defect } from '../../mutants/defect.ts';
import { DEFECTS } from '../../mutants/table.ts';

const CORE = new URL('../../../server/src/core/', import.meta.url);

describe('the table of defects', () => {
  it.each(DEFECTS.map((defect) => [`${defect.invariant} ${defect.why}`, defect] as const))('%s: is of the source as it is', (_, defect) => {
    const text = readFileSync(new URL(defect.file, CORE), 'utf8');
    expect(seeded(text, defect)).not.toBe(text);
  });
  it('has each one once', () => {
    expect(new Set(DEFECTS.map((defect) => `${defect.file} ${defect.find} ${defect.replace}`)).size).toBe(DEFECTS.length);
  });
});

describe('a defect', () => {
  const defect: Defect = { invariant: 1, file: 'a.ts', find: 'one', replace: '1', why: '' };

  it('changes one place, or two', () => {
    expect(seeded('zero one two', defect)).toBe('zero 1 two');
    expect(seeded('zero one two', { ...defect, also: { find: 'two', replace: '$2' } })).toBe('zero 1 $2');
  });
  it('does not apply where its text is absent, or there twice', () => {
    expect(() => seeded('zero two', defect)).toThrow('no text "one"');
    expect(() => seeded('one one', defect)).toThrow('2 times "one"');
  });
});
