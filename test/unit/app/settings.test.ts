import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { SettingsError, isLoopback, parseListen, readSettings } from '../../../server/src/app/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'iommud-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('settings', () => {
  test('nothing said: loopback, port 7411, no token, five seconds of drain', () => {
    expect(readSettings({})).toEqual({
      host: '127.0.0.1',
      port: 7411,
      tokens: [],
      insecure: false,
      logLevel: 'info',
      machinesMax: 4096,
      bodyBytesMax: 20_971_520,
      drainMs: 5000,
    });
  });

  test('every variable is read, and an empty one is as none', () => {
    const settings = readSettings({
      IOMMUD_LISTEN: '[::1]:0',
      IOMMUD_TOKEN: 'secret',
      IOMMUD_TOKENS_FILE: '',
      IOMMUD_INSECURE: '1',
      IOMMUD_LOG_LEVEL: 'debug',
      IOMMUD_PUBLIC_URL: 'https://iommud.example/lab/',
      IOMMUD_TRACE_DIR: '/tmp/traces',
      IOMMUD_RECORD_DIR: '/tmp/recordings',
      IOMMUD_MACHINES_MAX: '3',
      IOMMUD_BODY_BYTES_MAX: '4096',
      IOMMUD_DRAIN_MS: '0',
    });
    expect(settings).toMatchObject({
      host: '::1',
      port: 0,
      insecure: true,
      logLevel: 'debug',
      machinesMax: 3,
      bodyBytesMax: 4096,
      drainMs: 0,
    });
    expect(settings).toMatchObject({ publicUrl: 'https://iommud.example/lab', traceDir: '/tmp/traces', recordDir: '/tmp/recordings' });
    expect(settings.tokens).toEqual([{ token: 'secret', roles: ['host', 'device', 'memory', 'observer'], machines: ['*'] }]);
  });

  test.each([
    ['IOMMUD_LISTEN', '7411', "cannot listen on '7411': write HOST:PORT"],
    ['IOMMUD_LISTEN', '127.0.0.1:99999', 'cannot listen on'],
    ['IOMMUD_LISTEN', '::1:80', 'cannot listen on'],
    ['IOMMUD_LISTEN', '[cafe]:80', 'cannot listen on'],
    ['IOMMUD_INSECURE', 'maybe', "IOMMUD_INSECURE is 'maybe'; write 1 or 0"],
    ['IOMMUD_LOG_LEVEL', 'loud', "log level 'loud' is not one of fatal, error, warn"],
    ['IOMMUD_PUBLIC_URL', 'iommud', "IOMMUD_PUBLIC_URL is 'iommud'; write an address"],
    ['IOMMUD_MACHINES_MAX', '0', "IOMMUD_MACHINES_MAX is '0'; write a whole number from 1 to 1000000"],
    ['IOMMUD_DRAIN_MS', '1.5', "IOMMUD_DRAIN_MS is '1.5'; write a whole number"],
    ['IOMMUD_TOKEN', 'a b', 'IOMMUD_TOKEN: token 1 has characters that an Authorization header cannot carry'],
    ['IOMMUD_TOKENS_FILE', '/no/such/file', 'IOMMUD_TOKENS_FILE /no/such/file: ENOENT'],
  ])('%s=%s is refused with a sentence', (name, value, sentence) => {
    expect(() => readSettings({ [name]: value })).toThrow(SettingsError);
    expect(() => readSettings({ [name]: value })).toThrow(sentence);
  });

  test('beyond loopback it wants a token or --insecure', () => {
    expect(() => readSettings({ IOMMUD_LISTEN: '0.0.0.0:7411' })).toThrow(
      /will not listen on 0\.0\.0\.0, which is beyond loopback.*IOMMUD_TOKEN.*--insecure/,
    );
    expect(() => readSettings({ IOMMUD_LISTEN: '[::]:7411' })).toThrow(SettingsError);
    expect(readSettings({ IOMMUD_LISTEN: '0.0.0.0:7411', IOMMUD_TOKEN: 'secret' }).host).toBe('0.0.0.0');
    expect(readSettings({ IOMMUD_LISTEN: '0.0.0.0:7411', IOMMUD_INSECURE: 'true' }).host).toBe('0.0.0.0');
  });

  test.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['::1', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['example.com', false],
    ['localhost.example.com', false],
  ])('%s is loopback: %s', (host, loopback) => {
    expect(isLoopback(host)).toBe(loopback);
  });

  test('an address is host and port', () => {
    expect(parseListen('localhost:0')).toEqual({ host: 'localhost', port: 0 });
    expect(parseListen('[fe80::1]:80')).toEqual({ host: 'fe80::1', port: 80 });
  });
});

describe('tokens file', () => {
  test('gives roles and machines to each token, and all where nothing is said', () => {
    const path = file('good.json', '{"one": {"roles": ["observer"], "machines": ["ci-*", "lab"]}, "two": {}}');
    expect(readSettings({ IOMMUD_TOKENS_FILE: path, IOMMUD_TOKEN: 'zero' }).tokens).toEqual([
      { token: 'zero', roles: ['host', 'device', 'memory', 'observer'], machines: ['*'] },
      { token: 'one', roles: ['observer'], machines: ['ci-*', 'lab'] },
      { token: 'two', roles: ['host', 'device', 'memory', 'observer'], machines: ['*'] },
    ]);
  });

  test.each([
    ['[]', 'not a JSON object of tokens'],
    ['{', 'IOMMUD_TOKENS_FILE'],
    ['{"a": 1}', 'token 1 needs an object like'],
    ['{"a": {}, "b": {"role": []}}', "token 2 has an unknown field 'role'"],
    ['{"a": {"roles": ["root"]}}', 'token 1: roles is a list of host, device, memory, observer'],
    ['{"a": {"roles": []}}', 'roles is a list of'],
    ['{"a": {"machines": []}}', 'machines is a list of names'],
    ['{"a": {"machines": [1]}}', 'machines is a list of names'],
  ])('%s is refused', (text, sentence) => {
    const path = file('bad.json', text);
    expect(() => readSettings({ IOMMUD_TOKENS_FILE: path })).toThrow(sentence);
  });

  test('a refusal never prints a token', () => {
    const path = file('leak.json', '{"sesame-open": {"roles": ["root"]}}');
    expect(() => readSettings({ IOMMUD_TOKENS_FILE: path })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('sesame') as string }),
    );
  });
});

test('docs/rest.md lists every variable that is read', () => {
  const names = (path: string) => {
    const text = readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
    return [...text.matchAll(path.endsWith('.md') ? /^\| `(IOMMUD_[A-Z_]+)`/gm : /text\('(IOMMUD_[A-Z_]+)'\)/g)].map(([, name]) => name);
  };
  const read = new Set(names('server/src/app/settings.ts'));
  expect(read.size).toBe(11);
  expect(new Set(names('docs/rest.md'))).toEqual(read);
});
