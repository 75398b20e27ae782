import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { completeLock, installedManifest, type Lock } from './complete-lock.mjs';
import { REPOSITORY } from './tree.ts';

describe('package-lock.json', () => {
  it('has the packages of every platform, so that npm ci takes it; else run node test/tidy/complete-lock.mjs', () => {
    const lock = JSON.parse(readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8')) as Lock;
    expect(completeLock(lock, installedManifest)).toEqual([]);
  });

  it('is completed from the manifests of what is installed', () => {
    const lock: Lock = {
      packages: { '': {}, 'node_modules/tool': { version: '2.0.0' }, 'node_modules/tool-linux-x64-gnu': { version: '2.0.0' } },
    };
    const optionalDependencies = {
      'tool-linux-x64-gnu': '2.0.0',
      'tool-linux-arm64-musl': '2.0.0',
      '@tool/binding-win32-x64-msvc': '^2.0.0',
      plain: '1.0.0',
    };
    const manifestOf = (path: string): { optionalDependencies?: Record<string, string> } =>
      path === 'node_modules/tool' ? { optionalDependencies } : {};
    expect(completeLock(lock, manifestOf)).toEqual(['tool-linux-arm64-musl', '@tool/binding-win32-x64-msvc']);
    expect(Object.keys(lock.packages)).toEqual([
      '',
      'node_modules/@tool/binding-win32-x64-msvc',
      'node_modules/tool',
      'node_modules/tool-linux-arm64-musl',
      'node_modules/tool-linux-x64-gnu',
    ]);
    expect(lock.packages['node_modules/tool-linux-arm64-musl']).toMatchObject({
      version: '2.0.0',
      optional: true,
      os: ['linux'],
      cpu: ['arm64'],
      libc: ['musl'],
    });
    expect(lock.packages['node_modules/@tool/binding-win32-x64-msvc']).toMatchObject({ version: '2.0.0', os: ['win32'], cpu: ['x64'] });
    expect(completeLock(lock, manifestOf)).toEqual([]);
  });

  it('has a nested package where it has one', () => {
    const lock: Lock = { packages: { '': {}, 'node_modules/a/node_modules/tool': {}, 'node_modules/a/node_modules/tool-linux-x64': {} } };
    const manifestOf = (): { optionalDependencies: Record<string, string> } => ({ optionalDependencies: { 'tool-linux-x64': '1.0.0' } });
    expect(completeLock(lock, manifestOf)).toEqual([]);
  });
});
