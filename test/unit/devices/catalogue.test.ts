/** The device kit, run on every model that the catalogue has. */
import { describe, expect, it } from 'vitest';
import { MODEL_NAMES } from '../../../server/src/core/devices/index.ts';
import { CHECKS } from '../../kit/device-kit.ts';
import { SUBJECTS } from '../../kit/device-subjects.ts';

describe.each(MODEL_NAMES)('%s', (name) => {
  it.each(Object.entries(CHECKS))('%s', (_, check) => {
    expect(check(SUBJECTS[name])).toEqual([]);
  });
});
