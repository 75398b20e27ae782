import { Value } from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { PRESETS, TOPOLOGY_SCHEMA, topologySchema } from '../../../../server/src/app/topology/index.ts';

describe('the JSON Schema', () => {
  const schema = JSON.parse(JSON.stringify(topologySchema)) as Record<string, unknown>;

  it('stands alone: plain JSON whose references lead inside', () => {
    expect(TOPOLOGY_SCHEMA).toBe('iommud.topology/v1');
    expect(schema['$schema']).toBe('https://json-schema.org/draft/2020-12/schema');
    const text = JSON.stringify(schema);
    const references = [...text.matchAll(/"\$ref":"([^"]*)"/g)].map((match) => match[1]);
    expect(new Set(references)).toEqual(new Set(['#/$defs/function']));
    expect(schema['$defs']).toHaveProperty('function.properties.address.pattern');
  });

  it('describes every key but the fixed one', () => {
    const described = (node: Record<string, unknown>): boolean =>
      typeof node['description'] === 'string' || 'const' in node || 'enum' in node;
    const of = (node: unknown): Record<string, Record<string, unknown>> =>
      (node as { properties: Record<string, Record<string, unknown>> }).properties;
    const nodes = { ...of((schema['$defs'] as Record<string, unknown>)['function']), ...of(schema) };
    expect(Object.keys(nodes).filter((key) => !described(nodes[key] ?? {}))).toEqual([]);
  });

  it('takes the presets and no stranger', () => {
    for (const text of Object.values(PRESETS)) expect(Value.Check(topologySchema, parse(text))).toBe(true);
    expect(Value.Check(topologySchema, { ...(parse(PRESETS.basic) as object), other: 1 })).toBe(false);
  });
});
