/**
 * `node test/tidy/complete-lock.mjs` after `npm install`: adds to package-lock.json what npm leaves out of it.
 *
 * npm drops the optional packages of other platforms from the lock when it cannot read them (npm/cli#4828), and `npm ci`
 * then refuses the lock. They are added here by name and version, from the manifests of the packages that want them;
 * npm passes over an entry whose `os` and `cpu` are not its own.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const REPOSITORY = new URL('../../', import.meta.url);

/** Completes `lock` in place and returns the names that it lacked. `manifestOf` gives an installed package's manifest. */
export function completeLock(lock, manifestOf) {
  const added = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    const optional = path === '' ? undefined : manifestOf(path)?.optionalDependencies;
    for (const [name, range] of Object.entries(optional ?? {})) {
      if (hasPackage(lock, path, name)) continue;
      const platform = platformOf(name);
      if (platform === undefined) continue;
      const { dev, license, engines } = entry;
      entry.optionalDependencies = { ...entry.optionalDependencies, [name]: range };
      lock.packages[`node_modules/${name}`] = { version: range.replace(/^[~^]/, ''), dev, license, optional: true, engines, ...platform };
      added.push(name);
    }
  }
  const { '': root, ...rest } = lock.packages;
  lock.packages = { '': root, ...Object.fromEntries(Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1))) };
  return added;
}

/** Whether the package at `path` finds `name` in a node_modules beside or above it. */
function hasPackage(lock, path, name) {
  for (let folder = path; ; folder = folder.slice(0, folder.lastIndexOf('/node_modules/'))) {
    if (`${folder}/node_modules/${name}` in lock.packages) return true;
    if (!folder.includes('/node_modules/')) return `node_modules/${name}` in lock.packages;
  }
}

/** `@oxlint/binding-linux-x64-musl` is for os linux, cpu x64, libc musl. */
function platformOf(name) {
  const parts = name.slice(name.indexOf('/') + 1).split('-');
  const at = parts.findIndex((part) => SYSTEMS.includes(part));
  const [os, cpu, abi] = at === -1 ? [] : parts.slice(at);
  if (os === undefined || cpu === undefined) return undefined;
  const libc = abi?.startsWith('musl') ? ['musl'] : abi === 'gnu' ? ['glibc'] : undefined;
  return { os: [os], cpu: [cpu], libc };
}

/** The manifest of what is installed at `node_modules/…`; undefined when it is not. */
export function installedManifest(path) {
  try {
    return JSON.parse(readFileSync(new URL(`${path}/package.json`, REPOSITORY), 'utf8'));
  } catch {
    return undefined;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = new URL('package-lock.json', REPOSITORY);
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  const added = completeLock(lock, installedManifest);
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(added.length === 0 ? 'package-lock.json is complete' : `added to package-lock.json: ${added.join(', ')}`);
}
