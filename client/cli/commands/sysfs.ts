/** `iommud sysfs`: a machine as the folders that `/sys/bus/pci` would have on it, for programs that read a sysfs. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import type { ShownFunction, ShownGroup, SysfsEntry } from '../../../server/src/app/index.ts';
import type { FunctionHandle, FunctionSummary, Machine } from '../../src/index.ts';
import { ofEvery } from '../every-function.ts';
import { EXIT, Exit } from '../exit.ts';
import { onMachine } from '../on-machine.ts';
import { print } from '../output.ts';
import { Service, talksToService, type ServiceOptions } from '../service.ts';

const MODE = { readable: 0o644, writeOnly: 0o200 } as const;

export function registerSysfs(program: Command): void {
  talksToService(program.command('sysfs').description('write a machine as the folders of /sys/bus/pci'))
    .argument('<machine>', 'id or name')
    .argument('<dir>', 'where to; made, or empty. lspci -A linux-sysfs -O sysfs.path=DIR reads it')
    .action(sysfs);
}

async function sysfs(name: string, directory: string, options: ServiceOptions): Promise<void> {
  // Said before the service is asked, and again by each file's being new.
  requireEmpty(directory);
  const { functions, groups } = await onMachine(new Service(options), name, readMachine);
  const { sysfsTree } = await import('../../../server/src/app/index.ts');
  const entries = sysfsTree(functions, groups);
  for (const entry of entries) write(directory, entry);
  const counts = { directory, functions: functions.length, groups: groups.length, files: entries.length };
  print(
    options.json,
    counts,
    () => `${directory}: ${counts.functions} functions in ${counts.groups} IOMMU groups, ${counts.files} files and links`,
  );
}

async function readMachine(machine: Machine): Promise<{ functions: readonly ShownFunction[]; groups: readonly ShownGroup[] }> {
  const functions = await ofEvery(machine, readFunction);
  const groups = new Map<number, ShownGroup>();
  for (const { function: at, group } of functions) {
    if (group !== undefined && !groups.has(group)) groups.set(group, await machine.function(at).group());
  }
  return { functions, groups: [...groups.values()] };
}

async function readFunction({ function: at, configBytes, physicalFunction }: FunctionSummary, fn: FunctionHandle): Promise<ShownFunction> {
  const [config, regions, info] = await Promise.all([fn.config.readBytes(0, configBytes), fn.regions(), fn.info()]);
  const { resetMethods, group, reservedRegions } = info;
  return { function: at, config, regions, resetMethods, physicalFunction, group, reservedRegions };
}

function requireEmpty(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
    if (readdirSync(directory).length === 0) return;
  } catch (error) {
    throw new Exit(EXIT.usage, `cannot write to ${directory}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  throw new Exit(EXIT.usage, `${directory} is not empty; name a folder that is, or that is not there yet`);
}

function write(directory: string, entry: SysfsEntry): void {
  const path = join(directory, entry.path);
  mkdirSync(dirname(path), { recursive: true });
  if ('link' in entry) symlinkSync(entry.link, path);
  else writeFileSync(path, entry.contents, { flag: 'wx', mode: entry.writeOnly ? MODE.writeOnly : MODE.readable });
}
