export function limitsPage(source: string, values: Readonly<Record<string, number>>): string;
