/** The machines on which the kinds of actor are explored: one group of two functions each, with what the field has first plain page tables. */
import type { KindName } from './kinds.ts';

export const F = '00:05.0';
export const G = '00:05.1';

/** What differs from the plain machine; absent: nothing. */
interface Setting {
  readonly does: string;
  /** Declarations beside the functions and their memory. */
  readonly declares?: readonly string[];
  /** Makes domain D, which the function is attached to, with `page` at 0x1000; the plain one is the group's default where nobody detaches. */
  readonly domain?: readonly string[];
  /** What maps in the name of D: itself, or its second stage. */
  readonly tables?: 'D' | 'S';
  /** After D is attached. */
  readonly needs?: readonly string[];
  /** What a kind does here first. */
  readonly first?: Partial<Record<KindName, readonly string[]>>;
}

const PLAIN_DOMAIN = ['D = domain paging', 'map D 0x1000 page 4096'];

export const SETTINGS = {
  plain: { does: 'two functions on page tables of the host' },
  'direct-regions': {
    does: 'a function with a direct region, which its window leaves open',
    declares: [`region ${F} direct 0x50000000 4KiB`, 'memory 0x50000000 4KiB', 'iommu isolation=direct-regions'],
    domain: [...PLAIN_DOMAIN, 'map D 0x50000000 0x50000000 4096'],
    needs: [`translate ${F} 0x50000000 for=write`],
    first: {
      dma: [`start write ${F} 0x50000000 "r" hold=translated`],
      ats: [`start write ${F} 0x50000000 "s" via=atc hold=translated`],
    },
  },
  nested: {
    does: "a guest's first stage on a second stage of the host, with a large page",
    tables: 'S',
    declares: ['memory 0x50000000 64KiB'],
    // Two leaves of 1 GiB in the root of Sv39, each where it is: 0xdf is a leaf with every right, and the byte behind it bits 31:30 of its page.
    domain: [
      'S = domain paging format=riscv-sv39x4',
      'root = alloc 4096',
      'poke root "ß"',
      'poke root+32 "ß"',
      'poke root+35 "@"',
      'map S 0x80000 root 4096',
      'map S 0x1000 page 4096',
      'map S 0x100000000 0x50000000 64KiB',
      'D = domain paging format=riscv-sv39 root=0x80000 parent=S',
    ],
    needs: [`translate ${F} 0x100005000 for=write`],
    first: {
      // A byte without the valid bit; what a guest has changed it invalidates.
      unmap: ['poke root+32 "."', 'unmap D 0x100005000 4096'],
      ats: [`start write ${F} 0x100005000 "g" via=atc hold=translated`],
    },
  },
} as const satisfies Record<string, Setting>;
export type SettingName = keyof typeof SETTINGS;
export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

export function settingOf(name: SettingName): Setting & { readonly domain: readonly string[]; readonly tables: 'D' | 'S' } {
  const setting: Setting = SETTINGS[name];
  return { ...setting, domain: setting.domain ?? PLAIN_DOMAIN, tables: setting.tables ?? 'D' };
}

/** Whether the function has D from the start, whoever acts. */
export function isAttached(name: SettingName): boolean {
  return (SETTINGS[name] as Setting).domain !== undefined;
}
