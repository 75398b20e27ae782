import { describe, expect, it } from 'vitest';
import { bdf } from '../../../server/src/core/base/index.ts';
import { chooseDefault } from '../../../server/src/core/iommu/index.ts';
import { CoreMachine, PROBE, probe } from '../../kit/core-machine.ts';

const wish = (wants?: 'identity' | 'dma', untrusted = false) => ({ bdf: bdf(0, 0, 2, 0), wants, untrusted });
const UNTRUSTED = wish(undefined, true);
const NONE = wish();

describe('chooseDefault', () => {
  it.each([
    ['nobody insists', [NONE, NONE], 'dma'],
    ['one insists on identity', [NONE, wish('identity')], 'identity'],
    ['one insists on translation', [NONE, wish('dma')], 'dma'],
    ['they differ: identity wins', [wish('dma'), wish('identity')], 'identity'],
    ['one is untrusted', [NONE, UNTRUSTED], 'dma'],
    ['one is untrusted, and insists on translation', [wish('dma', true)], 'dma'],
    ['an untrusted one meets a wish for identity', [UNTRUSTED, wish('identity')], undefined],
  ] as const)('%s', (_why, members, chosen) => {
    for (const booted of ['dma', 'dma-fq', 'identity'] as const) {
      const free = members.every(({ wants, untrusted }) => wants === undefined && !untrusted);
      expect(chooseDefault(members, undefined, booted)).toBe(free ? booted : chosen);
    }
  });

  it('what is asked for wins over how the machine was booted, and loses against a member', () => {
    for (const asked of ['identity', 'dma', 'dma-fq'] as const) {
      expect(chooseDefault([NONE], asked, 'dma')).toBe(asked);
      expect(chooseDefault([wish('identity')], asked, 'dma')).toBe(asked === 'identity' ? asked : undefined);
      expect(chooseDefault([UNTRUSTED], asked, 'identity')).toBe(asked === 'dma' ? asked : undefined);
    }
  });
});

describe('the default domain of a group', () => {
  const set = (type: 'identity' | 'dma' | 'dma-fq' | 'auto') => ({ kind: 'default-domain-set', bdf: PROBE, type }) as const;
  const typeOf = (m: CoreMachine) => m.group(PROBE).defaultType;

  it('is called as it is', () => {
    expect(typeOf(new CoreMachine())).toBe('dma');
    expect(typeOf(new CoreMachine({ dmaFlush: 'lazy' }))).toBe('dma-fq');
    expect(typeOf(new CoreMachine({ dmaFlush: 'lazy', defaultDomain: 'identity' }))).toBe('identity');
    expect(typeOf(new CoreMachine({ functions: [{ ...probe(PROBE), defaultDomain: 'none' }] }))).toBeUndefined();
  });

  it('becomes another one, which is named at once; from DMA to DMA-FQ it stays', () => {
    const m = new CoreMachine();
    const types: unknown[] = [];
    const ids = (['dma-fq', 'dma-fq', 'identity', 'identity', 'dma', 'auto'] as const).map((type) => {
      m.call('ok', set(type));
      const { domain, defaultDomain } = m.group(PROBE);
      expect([domain, m.info(PROBE).physicalDomain]).toEqual([defaultDomain, defaultDomain]);
      types.push(typeOf(m));
      return defaultDomain?.id ?? 0;
    });
    expect(types).toEqual(['dma-fq', 'dma-fq', 'identity', 'identity', 'dma', 'dma']);
    const [first = 0, , identity = 0, , dma = 0, auto = 0] = ids;
    expect(ids).toEqual([first, first, identity, identity, dma, auto]);
    expect(new Set(ids).size).toBe(4);
    for (const gone of [first, identity, dma]) expect(() => m.map({ domain: gone }, 0x1000, m.allocPage())).toThrow('no domain');
  });

  it('may not while somebody else has the group', () => {
    const m = new CoreMachine();
    const domain = m.allocDomain();
    const refused = () => (['identity', 'dma', 'auto'] as const).map((type) => m.refusal(set(type)));
    const EPERM = ['EPERM', 'EPERM', 'EPERM'];
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    expect(refused()).toEqual(EPERM);
    m.call('ok', { kind: 'owner-release', bdf: PROBE });
    m.call('ok', m.attach(PROBE, domain));
    expect(refused()).toEqual(EPERM);
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    expect(refused()).toEqual(EPERM);
    m.call('ok', m.detachPasid(PROBE, 5));
    m.call('ok', set('identity'));
  });

  it('is with auto as it was when the group was probed', () => {
    const m = new CoreMachine({ defaultDomain: 'identity' });
    const { defaultDomain: first } = m.group(PROBE);
    for (const [type, is] of [
      ['auto', 'identity'],
      ['dma', 'dma'],
      ['auto', 'identity'],
    ] as const) {
      m.call('ok', set(type));
      expect(typeOf(m)).toBe(is);
    }
    expect(m.group(PROBE).defaultDomain?.id).not.toBe(first?.id);
  });

  it.each([
    ['insists on translation', { defaultDomain: 'paging' } as const, 'identity'],
    ['insists on identity', { defaultDomain: 'identity' } as const, 'dma'],
    ['is untrusted', { untrusted: true }, 'identity'],
  ] as const)('is not what a member that %s does not agree with', (_why, fields, type) => {
    const m = new CoreMachine({ functions: [{ ...probe(PROBE), ...fields }] });
    const before = [m.group(PROBE), m.info(PROBE)];
    expect(m.call('refused', set(type))).toMatchObject({ code: 'EINVAL', message: expect.stringContaining(`default domain ${type}`) });
    expect([m.group(PROBE), m.info(PROBE)]).toEqual(before);
    m.call('ok', set('auto'));
  });

  it('cannot be at all where an untrusted function is to be identity', () => {
    const fn = { ...probe(PROBE), defaultDomain: 'identity', untrusted: true } as const;
    expect(() => new CoreMachine({ functions: [fn] })).toThrow('00:02.0 cannot be probed');
  });

  it('is nothing that a group without one could be given', () => {
    const m = new CoreMachine({ functions: [{ ...probe(PROBE), defaultDomain: 'none' }] });
    for (const type of ['identity', 'dma', 'dma-fq', 'auto'] as const) expect(m.refusal(set(type))).toBe('EINVAL');
  });

  it('is not freed under a call that is at work on it', () => {
    const m = new CoreMachine({ clock: 'manual' });
    m.map(PROBE, 0x1000, m.allocPage());
    const { defaultDomain: old } = m.group(PROBE);
    expect(m.outcome(PROBE, 0x1000, 'x', { translated: true })).toBe('performed');
    m.arm(PROBE, 'late-invalidations', { count: 0, delayMs: 100 });
    const unmap = m.startUnmap(PROBE, 0x1000);
    const other = m.start(set('auto'));
    const free = { kind: 'domain-free', domain: old!.id } as const;
    expect(m.refusal(free)).toBe('EBUSY');
    m.advance(100);
    expect(unmap.reply).toMatchObject({ bytes: 4096n, timedOut: 0 });
    m.advance(100);
    expect(other.reply).toMatchObject({ kind: 'ok' });
    expect(m.group(PROBE).defaultDomain?.id).not.toBe(old?.id);
    expect(m.refusal(free)).toBe('ENOENT');
  });
});
