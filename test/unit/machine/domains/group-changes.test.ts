/** What a change of a group that is refused says: which change, of which function, and why. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../../../server/src/core/base/index.ts';
import type { Command } from '../../../../server/src/core/machine/index.ts';
import { FIRST, PROBE, SIBLINGS, REMOTE, probe, type CoreMachine } from '../../../kit/core-machine.ts';
import { HoldMachine } from '../../../kit/hold-machine.ts';

const WINDOW = 'has 00:05.0 in a reset window; try again after reset-done';

function siblings(behaviour: 'strict' | 'linux-7.1' = 'strict'): HoldMachine {
  return new HoldMachine({ functions: SIBLINGS, behaviour, clock: 'manual' });
}

function refusalOf(m: CoreMachine, command: Command): { readonly code: string; readonly message: string; readonly about: string } {
  const { code, message, about } = m.call('refused', command);
  return { code, message, about };
}

function ioas(m: CoreMachine): number {
  return m.call('ioas-alloc', { kind: 'ioas-alloc' }).ioas;
}

describe('in a reset window', () => {
  const m = siblings();
  const domain = m.allocDomain();
  m.call('ok', m.attachPasid(FIRST, 5, domain));
  m.prepare(FIRST);

  it.each([
    ['attach', m.attach(FIRST, domain), `attach of domain ${domain}`],
    ['PASID attach', m.attachPasid(FIRST, 6, domain), 'attach of PASID 6'],
    ['PASID replace', m.attachPasid(FIRST, 5, m.allocDomain(), true), 'replace of PASID 5'],
    ['claim', { kind: 'owner-claim', bdf: FIRST }, 'claim of ownership'],
  ] as readonly (readonly [string, Command, string])[])('%s names itself and the function that is being reset', (_name, command, doing) => {
    expect(refusalOf(m, command)).toEqual({ code: 'EBUSY', message: `${doing}: group 0 ${WINDOW}`, about: '00:05.0' });
  });
});

it('an attach of an I/O address space in a window names it', () => {
  const m = siblings();
  const areas = ioas(m);
  m.call('ok', { kind: 'owner-claim', bdf: FIRST });
  m.prepare(FIRST);
  const refused = refusalOf(m, { kind: 'domain-attach', bdf: FIRST, domain: 0, ioas: areas });
  expect(refused).toEqual({ code: 'EBUSY', message: `attach of I/O address space ${areas}: group 0 ${WINDOW}`, about: '00:05.0' });
});

describe('out of one', () => {
  it('a release of what nobody has claimed', () => {
    const m = siblings();
    const refused = { code: 'EINVAL', message: 'release of ownership: EINVAL from group 0', about: '00:05.0' };
    expect(refusalOf(m, { kind: 'owner-release', bdf: FIRST })).toEqual(refused);
  });

  it('a second claim, a release while a PASID is attached, a claim of what is attached elsewhere or has a PASID', () => {
    const m = siblings();
    const claim: Command = { kind: 'owner-claim', bdf: FIRST };
    const release: Command = { kind: 'owner-release', bdf: FIRST };
    m.call('ok', claim);
    expect(refusalOf(m, claim).code).toBe('EPERM');
    m.call('ok', m.attachPasid(FIRST, 5, m.allocDomain()));
    expect(refusalOf(m, release)).toMatchObject({ code: 'EBUSY', message: 'release of ownership: EBUSY from group 0' });
    m.call('ok', m.detachPasid(FIRST, 5));
    m.call('ok', release);
    m.call('ok', m.attachPasid(FIRST, 5, m.allocDomain()));
    expect(refusalOf(m, claim)).toMatchObject({ code: 'EBUSY', message: 'claim of ownership: EBUSY from group 0' });
    m.call('ok', m.detachPasid(FIRST, 5));
    m.call('ok', m.attach(FIRST, m.allocDomain()));
    expect(refusalOf(m, claim).code).toBe('EBUSY');
    expect(m.group(FIRST).owned).toBe(false);
  });

  it('PASIDs that cannot be: 0, of a domain that has no tables, of a function without PASIDs', () => {
    const m = new HoldMachine({ functions: [probe(PROBE), probe(REMOTE, { ats: false })], clock: 'manual' });
    const domain = m.allocDomain();
    expect(refusalOf(m, m.attachPasid(PROBE, 0, domain)).code).toBe('EINVAL');
    expect(refusalOf(m, m.attachPasid(PROBE, 5, m.allocDomain('blocked'))).code).toBe('EINVAL');
    expect(refusalOf(m, m.attachPasid(REMOTE, 5, domain))).toEqual({
      code: 'EOPNOTSUPP',
      message: 'attach of PASID 5: EOPNOTSUPP from group 1',
      about: '00:04.0',
    });
  });

  it('a deferred attach that the hardware refuses', () => {
    const m = new HoldMachine({ functions: [{ ...probe(PROBE), deferAttach: true }], clock: 'manual' });
    m.arm(PROBE, 'attach-fails');
    expect(refusalOf(m, { kind: 'deferred-attach', bdf: PROBE })).toEqual({
      code: 'EIO',
      message: 'deferred attach: EIO from group 0',
      about: '00:02.0',
    });
  });

  it('a domain that went while the attach waited', () => {
    const m = siblings();
    const domain = m.allocDomain();
    const hold = m.hold('attach', 'check');
    const attach = m.start(m.attach(FIRST, domain));
    m.call('ok', { kind: 'domain-free', domain });
    m.letGo(hold);
    expect(attach.reply).toMatchObject({ kind: 'refused', message: expect.stringMatching(`^attach of domain ${domain} of 00:05.0: .+`) });
    expect(m.group(FIRST).busy).toBe(false);
  });
});

describe('what changes nothing', () => {
  it.each([
    ['attach of the domain that is attached', (m: CoreMachine) => m.attach(FIRST, m.group(FIRST).domain!.id)],
    ['replace of a PASID by its own domain', (m: CoreMachine) => m.attachPasid(FIRST, 5, m.info(FIRST).pasids[0]!.logicalDomain.id, true)],
    ['detach of a PASID that is not attached', (m: CoreMachine) => m.detachPasid(FIRST, 9)],
    ['detach from the default domain', () => ({ kind: 'domain-detach', bdf: FIRST }) as const],
  ] as const)('%s moves no context, and asks no ATC', (_name, command) => {
    const m = siblings();
    m.call('ok', m.attachPasid(FIRST, 5, m.allocDomain()));
    const before = m.trace.length;
    m.call('ok', command(m));
    expect(m.trace.slice(before).map(({ kind }) => kind)).toEqual([]);
  });

  it('a PASID is attached to every member, and to the RID of none', () => {
    const m = siblings();
    m.call('ok', m.attachPasid(FIRST, 5, m.allocDomain()));
    expect(m.traced('context-set').filter(({ b }) => b === 5).length).toBe(2);
    expect(m.traced('context-set').filter(({ b }) => b !== 5 && b !== NO_PASID)).toEqual([]);
  });
});
