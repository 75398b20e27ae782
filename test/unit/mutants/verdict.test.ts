import { describe, expect, it } from 'vitest';
import { invariantOf, judge, type TestResult } from '../../mutants/verdict.ts';

const ASSERTED = 'AssertionError: expected 1 to be 2\n    at /tmp/copy/test/conformance/window.test.ts:1:1';
const CRASHED = 'AssertionError: no such space\n    at assert (/tmp/copy/server/src/core/base/model-error.ts:25:1)';

function test(title: string, message?: string): TestResult {
  return {
    file: 'test/conformance/window.test.ts',
    title,
    status: message === undefined ? 'passed' : 'failed',
    failureMessages: message === undefined ? [] : [message],
  };
}
const verdict = (...tests: TestResult[]) => judge(9, tests, { expected: tests.length, all: true });

describe('a defect of invariant 9', () => {
  it('is killed by an assertion of a test of that number', () => {
    expect(verdict(test('9 attach', ASSERTED), test('10 pasid'), test('order'))).toEqual({
      killed: true,
      text: '100 % of the others green; "9 attach"',
    });
  });
  it('is not killed by a test of another number', () => {
    expect(verdict(test('9 attach'), test('10 pasid', ASSERTED))).toEqual({ killed: false, text: 'killed only by others: "10 pasid"' });
  });
  it('is not killed by a crash, core asserting among them', () => {
    expect(verdict(test('9 attach', CRASHED), test('10 pasid')).killed).toBe(false);
    expect(verdict(test('9 attach', 'TypeError: x is undefined'), test('10 pasid')).text).toContain('TypeError: x is undefined');
  });
  it('is not killed when more than a quarter of the others fail with it', () => {
    const others = [test('1 a'), test('2 b'), test('3 c'), test('4 d', ASSERTED)];
    expect(verdict(test('9 attach', ASSERTED), ...others).killed).toBe(true);
    expect(verdict(test('9 attach', ASSERTED), ...others, test('5 e', ASSERTED)).text).toContain('60 %');
  });
  it('is killed among some tests whatever the others do, for their share there says nothing', () => {
    const tests = [test('9 attach', ASSERTED), test('1 a', ASSERTED)];
    expect(judge(9, tests, { expected: 2, all: false })).toEqual({ killed: true, text: '"9 attach"' });
    expect(judge(9, [test('9 attach'), test('1 a', ASSERTED)], { expected: 2, all: false }).killed).toBe(false);
    expect(judge(9, tests, { expected: 3, all: false }).killed).toBe(false);
  });
  it('survives when all is green, and says nothing when tests are missing', () => {
    expect(verdict(test('9 attach')).text).toContain('survives');
    expect(judge(9, [test('9 attach', ASSERTED)], { expected: 2, all: true })).toEqual({ killed: false, text: '1 of 2 tests ran' });
  });
});

it('the number of a test is what its name begins with', () => {
  expect(['9 attach', '15 strict: no request', 'strict: 9 of 10', '9: x'].map(invariantOf)).toEqual([9, 15, undefined, undefined]);
});
