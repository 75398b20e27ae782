export function limitsPage(
  source: string,
  values: Readonly<Record<string, number>>,
  files?: readonly (readonly [path: string, text: string])[],
): string;
export function serverBounds(files: readonly (readonly [path: string, text: string])[]): string;
export function serverFiles(): readonly (readonly [path: string, text: string])[];
