/** Rules on who imports whom: the rooms table, doors, and cycles inside a room. */
import { posix } from 'node:path';
import { COMPUTED, parse, type Import } from './parse.ts';
import { OWN_NAMES, ROOMS, isDoor, roomOf, type Room } from './rooms.ts';
import { sources, type Rule, type Tree } from './tree.ts';

/** Where the programs are; every file under these is in a room. */
const HOUSE = /^(server|client|proto|test)\//;
/** Scripts that make or check the rest with Node alone. */
const SCRIPT = /\.mjs$/;

/** The repository path that an import names, or undefined for a package. */
function target(path: string, from: string): string | undefined {
  if (from.startsWith('.')) return posix.normalize(posix.join(posix.dirname(path), from));
  return OWN_NAMES[from];
}

/** Each import is one that the rooms table allows, and goes through the door. */
export const importsFollowTheTable: Rule = (tree) => {
  const wrong: string[] = [];
  for (const [path, text] of sources(tree)) {
    if (!HOUSE.test(path)) continue;
    const room = roomOf(path);
    if (room === undefined) {
      wrong.push(`${path}:1 is in no room of test/tidy/rooms.ts`);
      continue;
    }
    for (const item of parse(path, text).imports) {
      const problem = importProblem(room, path, item);
      if (problem !== undefined) wrong.push(`${path}:${item.line} ${problem}`);
    }
  }
  return wrong;
};

function importProblem(room: Room, path: string, item: Import): string | undefined {
  if (room.imports === 'any') return undefined;
  if (item.from === COMPUTED) return 'imports an expression; name the module';
  const to = target(path, item.from);
  if (to === undefined) return packageProblem(room, path, item);
  const other = roomOf(to);
  if (other === room) return undefined;
  if (other === undefined) return `imports ${to}, which is in no room`;
  const late = item.how !== 'static' && (room.loads ?? []).includes(other.folder);
  if (!late && !room.imports.includes(other.folder)) {
    return `${room.folder} may not import ${other.folder}${(room.loads ?? []).includes(other.folder) ? ' statically' : ''}`;
  }
  return isDoor(other, to) ? undefined : `goes past the door of ${other.folder}: ${to}`;
}

function packageProblem(room: Room, path: string, item: Import): string | undefined {
  const { packages } = room;
  // What is loaded late is not needed to start: a client in a browser never reaches its `node:` import.
  if (packages === undefined || SCRIPT.test(path) || (item.how !== 'static' && packages.length > 0)) return undefined;
  const allowed = packages.some((name) =>
    name === 'node:' ? item.from.startsWith(name) : item.from === name || item.from.startsWith(`${name}/`),
  );
  return allowed ? undefined : `${room.folder} may not import the package ${item.from}`;
}

/** `export *` says nothing about what a room offers. */
export const doorsNameWhatTheyOffer: Rule = (tree) => {
  const wrong: string[] = [];
  for (const [path, text] of sources(tree)) {
    for (const item of parse(path, text).imports) {
      if (item.reexport === 'all') wrong.push(`${path}:${item.line} export * from '${item.from}'; name what is exported`);
    }
  }
  return wrong;
};

/** The `index.ts` of a room holds re-exports only. */
export const doorsAreOnlyDoors: Rule = (tree) => {
  const wrong: string[] = [];
  for (const [path, text] of sources(tree)) {
    if (!ROOMS.some((room) => path === `${room.folder}/index.ts`)) continue;
    const { program, lineOf } = parse(path, text);
    for (const statement of program['body'] as { type: string; start: number; source?: unknown }[]) {
      const reexports =
        statement.type === 'ExportAllDeclaration' || (statement.type === 'ExportNamedDeclaration' && statement.source !== null);
      if (!reexports) wrong.push(`${path}:${lineOf(statement.start)} a door only re-exports`);
    }
  }
  return wrong;
};

/** Files never import each other in a circle. Type imports are erased and make none. */
export const noCircles: Rule = (tree) => {
  const graph = new Map(sources(tree).map(([path, text]) => [path, runtimeImports(path, text, tree)]));
  const wrong: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) wrong.push(`${path}:1 imports itself through ${[...trail.slice(at + 1), path].join(' → ')}`);
    if (at !== -1 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return wrong;
};

function runtimeImports(path: string, text: string, tree: Tree): string[] {
  return parse(path, text)
    .imports.filter((item) => item.how === 'static')
    .map((item) => target(path, item.from))
    .filter((to) => to !== undefined && tree.has(to)) as string[];
}

/** The table itself: each named room exists in it, and no room can reach itself. */
export function tableProblems(rooms: readonly Room[] = ROOMS): string[] {
  const byFolder = new Map(rooms.map((room) => [room.folder, room]));
  const wrong: string[] = [];
  const visit = (folder: string, trail: readonly string[]): void => {
    const room = byFolder.get(folder);
    if (room === undefined) wrong.push(`${trail.at(-1)} names ${folder}, which is no room`);
    if (trail.includes(folder)) wrong.push(`${[...trail, folder].join(' → ')} is a circle`);
    if (room === undefined || trail.includes(folder) || room.imports === 'any') return;
    for (const next of [...room.imports, ...(room.loads ?? [])]) visit(next, [...trail, folder]);
  };
  for (const room of rooms) visit(room.folder, []);
  return [...new Set(wrong)];
}
