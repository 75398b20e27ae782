import { describe, expect, it } from 'vitest';
import type { Command } from '../../../../server/src/core/machine/index.ts';
import { CoreMachine, PROBE, REMOTE, probe, remote, writeCommand } from '../../../kit/core-machine.ts';
import { pageRequestCommand, type PageFields } from '../../../kit/page-requests.ts';

const IOVA = 0x4_0000;
const FAULTING = { translated: true, onFault: 'page-request' } as const;

function faulting(options: ConstructorParameters<typeof CoreMachine>[0] = {}): { m: CoreMachine; domain: number } {
  const m = new CoreMachine(options);
  const domain = m.allocFaultDomain();
  m.call('ok', m.attach(PROBE, domain));
  return { m, domain };
}

describe('page requests on command', () => {
  it('are a group: parts get no answer, the last gets the group’s', () => {
    const { m, domain } = faulting();
    const part = { group: 7, last: false } as const;
    expect(m.requestPages(PROBE, { ...part, iova: 0x1000, pages: 2 }).reply).toMatchObject({ answer: 'none', group: 7 });
    expect(m.requestPages(PROBE, { ...part, iova: 0x3000, access: 3 }).reply).toMatchObject({ answer: 'none' });
    expect(m.pageFaults()).toEqual([]);
    const last = m.requestPages(PROBE, { group: 7, iova: 0x4000, access: 3 });
    expect(m.pageFaults()).toMatchObject([
      {
        number: 1,
        domain,
        group: 7,
        ranges: [
          { iova: 0x1000n, pages: 2, access: 1 },
          { iova: 0x3000n, pages: 2, access: 3 },
        ],
      },
    ]);
    m.respond(1, 'invalid');
    expect(last.reply).toMatchObject({ answer: 'invalid', group: 7, elapsedNs: 0 });
  });

  it('carry PASID, privilege and execute to the host', () => {
    const { m } = faulting();
    const domain = m.allocFaultDomain();
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    m.requestPages(PROBE, { pasid: 5, privileged: true, access: 5, iova: IOVA });
    expect(m.pageFaults()).toMatchObject([{ pasid: 5, domain, ranges: [{ access: 5, privileged: true }] }]);
  });

  it.each<[string, PageFields, string]>([
    ['no page', { pages: 0 }, 'pages'],
    ['more pages than there are groups', { pages: 513 }, 'pages'],
    ['pages beyond 64 bits', { iova: Number.MAX_SAFE_INTEGER, pages: 2 }, ''],
    ['no access', { access: 0 }, 'access'],
    ['execute without read', { access: 4 }, 'access'],
    ['privilege without a PASID', { privileged: true }, 'privileged'],
    ['a group beyond 9 bits', { group: 512 }, 'group'],
    ['a Stop Marker without a PASID', { stopMarker: true }, 'pasid'],
  ])('with %s are malformed', (_what, fields, field) => {
    const { m } = faulting();
    const command = pageRequestCommand(PROBE, fields);
    const top = field === '' ? ({ ...command, iova: 0xffff_ffff_ffff_f000n } as Command) : command;
    expect(() => m.start(top)).toThrow(expect.objectContaining({ code: 'EINVAL', field: field === '' ? 'iova' : field }));
    expect(m.traced('page-request')).toEqual([]);
  });

  it('may ask for the last page that 64 bits have', () => {
    const { m } = faulting();
    m.start({ ...pageRequestCommand(PROBE, {}), iova: 0xffff_ffff_ffff_f000n } as Command);
    expect(m.pageFaults()).toMatchObject([{ ranges: [{ iova: 0xffff_ffff_ffff_f000n }] }]);
  });

  it('are of functions that have the interface, and of a dma-probe only when a host commands', () => {
    const m = new CoreMachine({ functions: [probe(PROBE, { ats: false }), remote(REMOTE)] });
    for (const at of [PROBE, REMOTE]) expect(() => m.requestPages(at)).toThrow(expect.objectContaining({ code: 'EOPNOTSUPP' }));
  });

  it('go on with a group of the same PASID that is not whole', () => {
    const { m } = faulting();
    m.call('ok', m.attachPasid(PROBE, 5, m.allocFaultDomain()));
    m.requestPages(PROBE, { group: 2, last: false });
    expect(() => m.requestPages(PROBE, { group: 2, pasid: 5 })).toThrow(expect.objectContaining({ code: 'EINVAL', field: 'group' }));
    m.requestPages(PROBE, { group: 2 });
    expect(m.requestPages(PROBE, { group: 2 }).reply).toMatchObject({ kind: 'refused', code: 'EBUSY' });
    // A free group is another one.
    m.requestPages(PROBE);
    expect(m.pageFaults().map(({ group }) => group)).toEqual([2, 0]);
  });

  it('are not sent while the interface is disabled', () => {
    const m = new CoreMachine();
    expect(m.requestPages(PROBE, { group: 9 }).reply).toMatchObject({ answer: 'not-sent', group: 9 });
    expect(m.traced('page-request')).toEqual([]);
  });

  it('without an IOMMU are not sent either, and nobody answers page faults', () => {
    const m = new CoreMachine({ iommu: false });
    expect(m.requestPages(PROBE).reply).toMatchObject({ answer: 'not-sent' });
    expect(() => m.respond(1, 'success')).toThrow(expect.objectContaining({ code: 'EOPNOTSUPP' }));
    expect(() => m.start({ kind: 'page-faults' })).toThrow(expect.objectContaining({ code: 'EOPNOTSUPP' }));
  });
});

describe('a DMA that requests its missing pages', () => {
  it('asks for all of them as one group, and for none that it has', () => {
    const { m, domain } = faulting();
    const text = 'x'.repeat(3 * 4096);
    m.map({ domain }, IOVA + 0x1000, m.allocPage());
    const write = m.write(PROBE, IOVA + 8, text, FAULTING);
    expect(m.pageFaults()).toMatchObject([
      {
        ranges: [
          { iova: BigInt(IOVA), pages: 1, access: 2 },
          { iova: BigInt(IOVA + 0x2000), pages: 2, access: 2 },
        ],
      },
    ]);
    for (const at of [0, 0x2000, 0x3000]) m.map({ domain }, IOVA + at, m.allocPage());
    m.respond(1, 'success');
    expect(write.reply).toMatchObject({ outcome: 'performed', bytesDone: text.length });
  });

  it('reads, translates and does atomics so', () => {
    const { m, domain } = faulting();
    const operations: readonly [Command, number][] = [
      [{ ...writeCommand(PROBE, IOVA, '', FAULTING), operation: 'read', bytes: 4, data: undefined } as Command, 1],
      [
        {
          ...writeCommand(PROBE, IOVA + 0x1000, '', { onFault: 'page-request' }),
          operation: 'translate',
          bytes: 4,
          data: undefined,
        } as Command,
        1,
      ],
      [{ ...writeCommand(PROBE, IOVA + 0x2000, '12345678', FAULTING), operation: 'swap' } as Command, 3],
    ];
    for (const [index, [command, access]] of operations.entries()) {
      const pending = m.start(command);
      const iova = IOVA + 0x1000 * index;
      expect(m.pageFaults().at(-1)).toMatchObject({ ranges: [{ iova: BigInt(iova), access }] });
      m.map({ domain }, iova, m.allocPage());
      m.respond(index + 1, 'success');
      expect(pending.reply).toMatchObject({ kind: 'dma', outcome: 'performed' });
    }
  });

  it('asks three times without a page gained, and then ends where a page is missing', () => {
    const { m, domain } = faulting();
    m.map({ domain }, IOVA, m.allocPage());
    const write = m.write(PROBE, IOVA, 'x'.repeat(8192), FAULTING);
    for (const fault of [1, 2, 3]) {
      expect([m.pageFaults().length, write.reply]).toEqual([fault, undefined]);
      m.respond(fault, 'success');
    }
    expect(m.pageFaults()).toHaveLength(3);
    expect(write.reply).toMatchObject({ outcome: 'no-access', bytesDone: 4096, failedIova: BigInt(IOVA + 0x1000) });
  });

  it('counts anew when a page was gained', () => {
    const { m, domain } = faulting();
    const write = m.write(PROBE, IOVA, 'x'.repeat(8192), FAULTING);
    for (const fault of [1, 2]) m.respond(fault, 'success');
    m.map({ domain }, IOVA, m.allocPage());
    for (const fault of [3, 4, 5]) m.respond(fault, 'success');
    expect([m.pageFaults().length, write.reply]).toEqual([6, undefined]);
    m.map({ domain }, IOVA + 0x1000, m.allocPage());
    m.respond(6, 'success');
    expect(write.reply).toMatchObject({ outcome: 'performed' });
  });

  it.each(['invalid', 'failure'] as const)('does not ask again after %s', (answer) => {
    const { m, domain } = faulting();
    const write = m.write(PROBE, IOVA, 'x', FAULTING);
    m.map({ domain }, IOVA, m.allocPage());
    m.respond(1, answer);
    expect(m.pageFaults()).toHaveLength(1);
    // The page is there now, and the operation is done as far as it goes.
    expect(write.reply).toMatchObject({ outcome: 'performed' });
  });

  it('asks for write where a page is read-only', () => {
    const { m, domain } = faulting();
    const page = m.allocPage();
    m.call('ok', { kind: 'map', target: { domain }, iova: BigInt(IOVA), address: page, bytes: 4096n, access: 1 });
    m.write(PROBE, IOVA, 'x', FAULTING);
    expect(m.pageFaults()).toMatchObject([{ ranges: [{ access: 2 }] }]);
  });

  it('keeps what it writes, whatever its caller does with the bytes meanwhile', () => {
    const { m, domain } = faulting();
    const page = m.allocPage();
    const data = new TextEncoder().encode('kept');
    m.start({ ...writeCommand(PROBE, IOVA, 'kept', FAULTING), data } as Command);
    data.fill(0);
    m.map({ domain }, IOVA, page);
    m.respond(1, 'success');
    expect(m.text(page, 4)).toBe('kept');
  });

  it('fails as any other where the interface is disabled, and where its gate is closed', () => {
    const m = new CoreMachine();
    expect(m.outcome(PROBE, IOVA, 'x', FAULTING)).toBe('no-access');
    const { m: blocked } = faulting();
    blocked.prepare(PROBE);
    expect(blocked.outcome(PROBE, IOVA, 'x', FAULTING)).toBe('gate-closed');
    expect(blocked.pageFaults()).toEqual([]);
  });

  it('goes through the ATC: otherwise it is malformed, as is one that goes beyond 64 bits', () => {
    const { m } = faulting();
    const untranslated = writeCommand(PROBE, IOVA, 'x', { onFault: 'page-request' });
    expect(() => m.start(untranslated)).toThrow(expect.objectContaining({ code: 'EINVAL', field: 'on_fault' }));
    const beyond = writeCommand(PROBE, 0xffff_ffff_ffff_ffffn, 'xx', FAULTING);
    expect(() => m.start(beyond)).toThrow(expect.objectContaining({ code: 'EINVAL', field: 'iova' }));
    expect(m.traced('page-request')).toEqual([]);
  });

  it('is another input than the same without', () => {
    const hashes = [undefined, 'fail', 'page-request'].map((onFault) => {
      const m = new CoreMachine();
      m.start(writeCommand(PROBE, IOVA, 'x', { translated: true, onFault: onFault as 'fail' | undefined }));
      return m.hash();
    });
    expect(new Set(hashes).size).toBe(3);
  });
});
