import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Refusal, refusalOf } from '../../../server/src/app/refusal.ts';
import { ERRORS, ModelError, type ErrorName } from '../../../server/src/core/base/index.ts';

const STATUS: Record<string, number> = {
  EPERM: 403,
  ENOENT: 404,
  EIO: 502,
  EAGAIN: 409,
  ENOMEM: 507,
  EFAULT: 400,
  EBUSY: 409,
  EEXIST: 409,
  ENODEV: 404,
  EINVAL: 400,
  ENOTTY: 422,
  ENOSPC: 507,
  ENOSYS: 404,
  EPROTO: 400,
  EOVERFLOW: 400,
  EMSGSIZE: 400,
  EOPNOTSUPP: 422,
  EADDRINUSE: 409,
  ECONNRESET: 502,
  ESHUTDOWN: 503,
  ETIMEDOUT: 504,
  ECANCELED: 409,
};

describe('errors as HTTP', () => {
  test('every code has its status, and no other code is here', () => {
    expect(Object.keys(ERRORS).sort()).toEqual(Object.keys(STATUS).sort());
    for (const [code, status] of Object.entries(STATUS)) expect(new Refusal(code as ErrorName, 'x').status).toBe(status);
  });

  test('the body holds code, number, sentence and what it is about', () => {
    expect(new Refusal('EBUSY', 'in use', '00:02.0').body).toEqual({ code: 'EBUSY', errno: 16, message: 'in use', about: '00:02.0' });
  });

  test('a malformed command keeps its code and field', () => {
    expect(refusalOf(new ModelError('EFAULT', 'outside', 'address'))).toMatchObject({ status: 400, code: 'EFAULT', about: 'address' });
  });

  test('our own bug is no refusal', () => {
    expect(refusalOf(new TypeError('x is undefined'))).toBeUndefined();
    expect(refusalOf(undefined)).toBeUndefined();
    expect(refusalOf(Object.assign(new Error('boom'), { statusCode: 500 }))).toBeUndefined();
  });

  test.each([
    [
      { instancePath: '/labels/x', keyword: 'type', message: 'must be string', params: { type: 'string' } },
      'labels.x',
      'labels.x must be string',
    ],
    [{ instancePath: '', keyword: 'required', message: 'must have', params: { missingProperty: 'token' } }, 'token', 'token is missing'],
    [
      { instancePath: '', keyword: 'additionalProperties', message: 'must not', params: { additionalProperty: 'x' } },
      'x',
      'x is not a field here',
    ],
    [
      { instancePath: '/method', keyword: 'enum', message: 'must be one of', params: { allowedValues: ['flr', 'pm'] } },
      'method',
      'method must be one of: flr, pm',
    ],
    [{ instancePath: '', keyword: 'type', message: 'must be object', params: { type: 'object' } }, '', 'the body must be object'],
  ])('a body that does not fit names the field (%#)', (problem, about, message) => {
    expect(refusalOf({ statusCode: 400, validation: [problem], validationContext: 'body' })).toMatchObject({
      status: 400,
      code: 'EINVAL',
      about,
      message,
    });
  });
});

describe('docs/rest.md', () => {
  test('lists every code with its status', () => {
    const page = readFileSync(new URL('../../../docs/rest.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `(E[A-Z]+)` \| (\d{3}) \|$/gm)].map(([, code, status]) => [code, Number(status)]);
    expect(Object.fromEntries(rows)).toEqual(STATUS);
  });
});
