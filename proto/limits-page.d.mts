export function limitsPage(
  source: string,
  values: Readonly<Record<string, number>>,
  files?: readonly (readonly [path: string, text: string])[],
): string;
export function endBounds(files: readonly (readonly [path: string, text: string])[]): string;
export function endFiles(): readonly (readonly [path: string, text: string])[];
