import { existsSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from '../../../tidy/parse.ts';
import { REPOSITORY, readTree } from '../../../tidy/tree.ts';

/** What a program that imports the client gets with it: files, and packages by how they are imported. */
function reach(door: string): { readonly files: Set<string>; readonly packages: Map<string, 'static' | 'late'> } {
  const tree = readTree();
  const files = new Set<string>();
  const packages = new Map<string, 'static' | 'late'>();
  const visit = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    const text = tree.get(path);
    // Generated code, which no rule reads, imports protobufjs alone.
    if (text === undefined) return;
    for (const { from, how } of parse(path, text).imports) {
      if (how === 'type') continue;
      if (from.startsWith('.')) visit(posix.normalize(posix.join(dirname(path), from)));
      else packages.set(from, how === 'static' || packages.get(from) === 'static' ? 'static' : 'late');
    }
  };
  visit(door);
  return { files, packages };
}

describe('the door of the client', () => {
  const { files, packages } = reach('client/src/index.ts');

  it('reaches its own files and the contract, and nothing of a server', () => {
    const folders = new Set([...files].map((path) => path.split('/').slice(0, 2).join('/')));
    expect([...folders].filter((folder) => folder !== 'client/src' && !folder.startsWith('proto/'))).toEqual([]);
    expect(files.size).toBeGreaterThan(20);
    for (const path of files) expect(existsSync(`${REPOSITORY}/${path}`), path).toBe(true);
  });

  it('needs protobufjs only; the websocket of Node is loaded when it is used', () => {
    expect(Object.fromEntries(packages)).toEqual({ 'protobufjs/minimal.js': 'static', ws: 'late' });
  });

  it('would notice a server: the door of iommud/testing loads one, late', () => {
    const testing = reach('client/testing/index.ts');
    const server = [...testing.files].filter((path) => path.startsWith('server/'));
    expect(server.length).toBeGreaterThan(0);
  });
});
