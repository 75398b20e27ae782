/** A scenario's text with the order that broke something, so that running it repeats that. */
import type { Behaviour, Fix } from '../core/machine/index.ts';
import { SCENARIO_SCHEMA } from './syntax.ts';

export interface RepeatedOn {
  readonly behaviour: Behaviour | undefined;
  readonly withoutFixes: readonly Fix[] | undefined;
}

const STEPS_A_LINE = 12;

export function withOrder(text: string, order: readonly string[], { behaviour, withoutFixes }: RepeatedOn, comment: string): string {
  const kept = text
    .split(/\r?\n/)
    .slice(1)
    .filter((line) => !/^\s*order\b/.test(line) && !(behaviour !== undefined && /^\s*behaviour\b/.test(line)));
  const lines = [SCENARIO_SCHEMA, `# ${comment}`];
  if (behaviour !== undefined) lines.push(`behaviour ${behaviour}`);
  for (const fix of withoutFixes ?? []) lines.push(`without-fix ${fix}`);
  lines.push(...kept);
  while (lines.at(-1) === '') lines.pop();
  lines.push('');
  for (let at = 0; at < order.length; at += STEPS_A_LINE) lines.push(`order ${order.slice(at, at + STEPS_A_LINE).join(' ')}`);
  return `${lines.join('\n')}\n`;
}
