export interface LockEntry {
  version?: string;
  optional?: boolean;
  os?: readonly string[];
  cpu?: readonly string[];
  libc?: readonly string[] | undefined;
  optionalDependencies?: Readonly<Record<string, string>>;
}
export interface Lock {
  packages: Record<string, LockEntry>;
}
export function completeLock(
  lock: Lock,
  manifestOf: (path: string) => { optionalDependencies?: Record<string, string> } | undefined,
): string[];
export function installedManifest(path: string): { optionalDependencies?: Record<string, string> } | undefined;
