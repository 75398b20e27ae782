import { describe, expect, it } from 'vitest';
import { iommud } from '../../../proto/index.ts';
import * as enums from '../../../server/src/rpc/enums.ts';

const { v1 } = iommud;

describe('core’s words and the contract’s enums', () => {
  it.each([
    ['Role', v1.Role, enums.ROLES],
    ['DomainType', v1.DomainType, enums.DOMAIN_TYPES],
    ['OnDeadline', v1.OnDeadline, enums.ON_DEADLINE],
    ['ResetMethod', v1.ResetMethod, enums.METHODS],
    ['Outcome', v1.Outcome, enums.OUTCOME],
    ['FaultKind', v1.FaultKind, enums.FAULTS],
    ['LogLevel', v1.LogLevel, enums.LEVELS],
    ['DmaOperation', v1.DmaOperation, enums.LEDGER_OPERATIONS],
    ['RequestPoint', v1.RequestPoint, enums.LEDGER_POINTS],
    ['OnFault', v1.OnFault, enums.ON_FAULT],
    ['PageAnswer', v1.PageAnswer, enums.PAGE_ANSWER],
    ['EventClass', v1.EventClass, enums.EVENT_CLASSES],
  ])('%s: every value but UNSPECIFIED has one word, both ways', (_name, values, map) => {
    const numbers = Object.values(values as unknown as Record<string, number>).filter((number) => number !== 0);
    expect(Object.values(map.number).toSorted((a, b) => a - b)).toEqual(numbers.toSorted((a, b) => a - b));
    for (const [word, number] of Object.entries(map.number)) expect(map.word[number]).toBe(word);
    expect(map.word[0]).toBeUndefined();
  });

  it('a call may ask for fewer operations and points than a ledger shows', () => {
    expect(Object.keys(enums.OPERATIONS.number)).toEqual(['read', 'write', 'fetch-add', 'swap', 'compare-and-swap', 'translate']);
    expect(Object.keys(enums.POINTS.number)).toEqual(['issued', 'translated', 'performed']);
  });

  it('a host may answer a page fault in three ways', () => {
    expect(enums.PAGE_ANSWERS_OF_HOSTS.number).toEqual({ success: 1, invalid: 2, failure: 3 });
    expect(enums.PAGE_ANSWERS_OF_HOSTS.word[4]).toBeUndefined();
  });

  it('the numbers are those of the .proto', () => {
    expect(enums.METHODS.number).toEqual({ device_specific: 1, acpi: 2, flr: 3, af_flr: 4, pm: 5, bus: 6, cxl_bus: 7 });
    expect(enums.OUTCOME.number['stale-atc']).toBe(10);
    expect(enums.ROLES.number).toEqual({ host: 1, device: 2, memory: 3, observer: 4 });
  });
});
