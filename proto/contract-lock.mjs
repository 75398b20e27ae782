/**
 * The promise that numbers are never reused: contract.lock.json lists every field and enum value that was ever part of the
 * contract. A locked one may not be removed, renumbered, renamed or retyped; a retired one must stay reserved in its .proto.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';

/** All .proto files of the contract in folder `proto`, parsed and resolved. Throws on a syntax error or a reserved number. */
export function loadContract(proto) {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(proto, target);
  const files = readdirSync(join(proto, 'iommud/v1')).filter((name) => name.endsWith('.proto'));
  root.loadSync(
    files.toSorted().map((name) => `iommud/v1/${name}`),
    { keepCase: true },
  );
  root.resolveAll();
  return root;
}

/** `{live: {"Frame": {"16": "error Error"}}, reserved: {"Frame": [[4, 15]]}}` of every message and enum. */
export function describeContract(root) {
  const live = {};
  const reserved = {};
  const visit = (namespace) => {
    for (const item of namespace.nestedArray.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = item.fullName.replace('.iommud.v1.', '');
      const ranges = (item.reserved ?? []).filter((entry) => typeof entry !== 'string');
      if (item instanceof protobuf.Type) live[name] = describeFields(item);
      if (item instanceof protobuf.Enum) live[name] = describeValues(item);
      if (name in live && ranges.length > 0) reserved[name] = ranges;
      if (item instanceof protobuf.Namespace) visit(item);
    }
  };
  visit(root);
  return { live, reserved };
}

function describeFields(type) {
  const entries = type.fieldsArray
    .toSorted((a, b) => a.id - b.id)
    .map((field) => {
      const presence = field.repeated ? 'repeated ' : field.options?.proto3_optional === true ? 'optional ' : '';
      return [field.id, `${presence}${field.type} ${field.name}`];
    });
  return Object.fromEntries(entries);
}

function describeValues(type) {
  return Object.fromEntries(Object.entries(type.values).map(([name, number]) => [number, name]));
}

/** What is wrong with `now` against the lock: one sentence each, none when all is well. */
export function compareContract(lock, now) {
  const changes = differences(lock, now);
  const added = changes.added.map((what) => `${what} is not in contract.lock.json; run node proto/generate.mjs --accept`);
  return [...changes.broken, ...changes.removed.map((item) => `${item.what} was removed; numbers are never reused`), ...added];
}

/** The lock after additions and retirements; `refused` tells what can never be accepted. */
export function acceptContract(lock, now) {
  const { broken, removed } = differences(lock, now);
  const retired = structuredClone(lock.retired ?? {});
  const refused = [...broken];
  for (const { type, number, entry, what } of removed) {
    if (type in now.live && !isReserved(now, type, number))
      refused.push(`${what} was removed and its number is not reserved in the .proto`);
    (retired[type] ??= {})[number] = entry;
  }
  return { lock: { live: now.live, retired }, refused };
}

function differences(lock, now) {
  const broken = [];
  const removed = [];
  const added = [];
  for (const [type, entries] of Object.entries(lock.live ?? {})) {
    for (const [number, entry] of Object.entries(entries)) {
      const current = now.live[type]?.[number];
      const what = `${type} ${number} (${entry})`;
      if (current === undefined) removed.push({ type, number: Number(number), entry, what });
      else if (current !== entry) broken.push(`${what} became ${current}; give the new one a new number`);
    }
  }
  for (const [type, entries] of Object.entries(now.live)) {
    for (const [number, entry] of Object.entries(entries)) {
      if (lock.live?.[type]?.[number] === undefined) added.push(`${type} ${number} (${entry})`);
      if (lock.retired?.[type]?.[number] !== undefined) broken.push(`${type} ${number} is retired and may not be used again (${entry})`);
    }
  }
  for (const [type, entries] of Object.entries(lock.retired ?? {})) {
    for (const number of Object.keys(entries)) {
      if (type in now.live && !isReserved(now, type, Number(number))) broken.push(`${type} ${number} is retired and must stay reserved`);
    }
  }
  return { broken, removed, added };
}

function isReserved(now, type, number) {
  return (now.reserved[type] ?? []).some(([from, to]) => number >= from && number <= to);
}
