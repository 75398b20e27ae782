/** The thirteen kinds of actor whose pairs and triples are explored, as scenarios on one group of two functions. */
import { F, G, isAttached, settingOf, type SettingName } from './settings.ts';
import { SCENARIO_SCHEMA } from './syntax.ts';

interface Kind {
  /** What it does; `n` tells two of the same kind apart, `maps` is the domain in whose tables D's mappings are. */
  readonly lines: (n: number, maps: string) => readonly string[];
  /** What must be there before. */
  readonly needs?: (maps: string) => readonly string[];
}

function reset(fn: string): Kind['lines'] {
  return (n) => [
    `prepare ${fn} w${n}`,
    `state ${F}`,
    `state ${G}`,
    `start trigger ${fn}`,
    'advance 100ms',
    `config-write ${fn} 4 2 0x0406`,
    `done ${fn} w${n}`,
  ];
}

export const KINDS = {
  reset: { lines: reset(F) },
  'sibling-reset': { lines: reset(G) },
  attach: { lines: () => [`attach ${F} D`, `attach ${F} B`] },
  detach: { lines: () => [`detach ${F}`] },
  'pasid-attach': { lines: () => [`pasid-replace ${F} 5 B`, `pasid-attach ${F} 6 B`, `pasid-attach ${F} 0 B => EINVAL`] },
  'pasid-detach': { lines: () => [`pasid-detach ${F} 5`, `claim ${F}`, `disclaim ${F}`] },
  'deferred-attach': { lines: () => [`deferred-attach ${F}`] },
  unmap: {
    lines: (n, maps) => [
      `unmap ${maps} 0x1000 4096`,
      `map ${maps} 0x${n}0000 spare 4096 => ok`,
      `map ${F} 0x${n}1000 spare 4096`,
      'unmap P 0x2000 4096',
    ],
  },
  dma: {
    lines: () => [
      `start write ${F} 0x1000 "a" hold=issued`,
      `let-go ${F}`,
      `start read ${F} 0x1000 1 hold=translated`,
      `start write ${F} 0x2000 "p" pasid=5 hold=translated`,
      `let-go ${F}`,
    ],
  },
  ats: {
    lines: () => [
      `start translate ${F} 0x1000 for=write hold=translated`,
      `start translate ${F} 0x2000 pasid=5 for=write hold=issued`,
      `let-go ${F}`,
      `start write ${F} 0x1000 "c" via=atc hold=translated`,
      `start write ${F} 0x2000 "q" pasid=5 via=atc hold=translated`,
      `let-go ${F}`,
    ],
  },
  invalidation: {
    lines: () => [`let-go ${F}`, 'deliver', `let-go ${F}`],
    needs: () => [`arm ${F} late-invalidations count=0`, 'start unmap P 0x2000 4096'],
  },
  death: {
    lines: () => [
      `start write ${F} 0x9000 "o"`,
      'leave far',
      `arm ${F} ignore-invalidations`,
      `arm ${F} never-ready`,
      `arm ${F} attach-fails count=2`,
      'advance 70s',
    ],
    needs: (maps) => ['owner far 0x8000000000 0x1000', `map ${maps} 0x9000 0x8000000000 4096`],
  },
  removal: { lines: () => [`unplug ${G} surprise=yes`] },
} as const satisfies Record<string, Kind>;
export type KindName = keyof typeof KINDS;
export const KIND_NAMES = Object.keys(KINDS) as KindName[];

/** The scenario of a set on one of the machines, as a user would write it. */
export function scenarioOf(kinds: readonly KindName[], on: SettingName = 'plain'): string {
  const { declares = [], domain, tables, needs = [], first = {} } = settingOf(on);
  const attached = kinds.includes('detach') || isAttached(on);
  const deferred = kinds.includes('deferred-attach') && !attached;
  const own = new Set(kinds.flatMap((kind): readonly string[] => (KINDS[kind] as Kind).needs?.(tables) ?? []));
  const lines = [
    SCENARIO_SCHEMA,
    `title ${kinds.join(', ')}${on === 'plain' ? '' : ` (${on})`}`,
    `function ${F} dma-probe${deferred ? ' deferAttach=yes' : ''}`,
    `function ${G} dma-probe`,
    'memory 0x40000000 24KiB',
    ...declares,
    'clock manual',
    '',
    'page = alloc 4096',
    'B = domain paging',
    'P = domain paging',
    'other = alloc 4096',
    'map B 0x1000 other 4096',
    'third = alloc 8192',
    'map P 0x1000 third 8192',
    ...(attached ? [...domain, `attach ${F} D`] : [`D = default ${F}`, 'map D 0x1000 page 4096']),
    'spare = alloc 4096',
    `pasid-attach ${F} 5 P`,
    `translate ${F} 0x1000 for=write`,
    `translate ${F} 0x2000 pasid=5 for=write`,
    ...needs,
    ...own,
  ];
  for (const [n, kind] of kinds.entries()) {
    const name = kinds.indexOf(kind) === n ? kind : `${kind}-${n + 1}`;
    const all = [...(first[kind] ?? []), ...KINDS[kind].lines(n + 1, tables)];
    lines.push('', `actor ${name}`, ...all.map((line) => `  ${line}`));
  }
  lines.push(
    '',
    'finally',
    `  let-go ${F}`,
    '  advance 70s force=yes',
    `  done ${F} all`,
    `  done ${G} all`,
    `  state ${F} => depth=0`,
    `  write ${F} 0x1000 "z"`,
    '  peek page 1',
    '  peek other 1',
    '  peek third 1',
  );
  return `${lines.join('\n')}\n`;
}

/** Every pair, two of the same kind among them, and every triple of different kinds. */
export function* sets(): Generator<readonly KindName[]> {
  for (const [i, one] of KIND_NAMES.entries()) {
    for (const two of KIND_NAMES.slice(i)) yield [one, two];
  }
  for (const [i, one] of KIND_NAMES.entries()) {
    for (const [j, two] of KIND_NAMES.entries()) {
      if (j <= i) continue;
      for (const three of KIND_NAMES.slice(j + 1)) yield [one, two, three];
    }
  }
}
