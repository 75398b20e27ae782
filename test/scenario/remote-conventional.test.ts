/** Functions below bridges to conventional PCI that another program plays, and declares. */
import { expect } from 'vitest';
import type { DeviceHandlers } from '../../client/src/index.ts';
import { eventually, refusal, scenario } from '../kit/scenario.ts';

const TOPOLOGY = `
schema: iommud.topology/v1
functions:
  - address: "00:01.0"
    model: root-port
    children:
      - address: "00.0"
        model: pcie-to-pci-bridge
        children:
          - { address: "01.0", model: dma-probe }
          - { address: "02.0", model: remote }
          - address: "04.0"
            model: pci-bridge
            children: [{ address: "03.0", model: remote }]
`;
const SIBLING = '02:01.0';
const BDF = '02:02.0';
const DEEP = '03:03.0';
const IOVA = 0x10000;
const DECLARED = {
  vendor: '0x1af4',
  device: '0x1041',
  bars: [{ bar: 0, size: '8KiB' }],
  capabilities: { af: true, pm: { noSoftReset: false }, msi: { vectors: 1 } },
};
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

for (const at of [BDF, DEEP]) {
  scenario(
    `what is declared at ${at} is conventional, known by the bridge's requester ID, and reset`,
    { topology: TOPOLOGY },
    async (m) => {
      const resets: string[] = [];
      const handlers: DeviceHandlers = { onRegionRead: ({ offset }) => offset, onReset: (method) => void resets.push(method) };
      const device = await (await m.connect(['device'])).claimDevice(at, handlers, { declare: DECLARED });
      const dev = m.function(at);
      // 256 bytes, no PCI Express, and what is beyond them is not there.
      expect(await dev.info()).toMatchObject({ vendor: 0x1af4, device: 0x1041, configBytes: 256, atsSupported: false, absent: false });
      expect(await refusal(dev.config.read(0x100, 4))).toBe('EINVAL');
      expect(await dev.bar(0).read(0x1ffc, 4)).toBe(0x1ffc);
      expect((await dev.group()).members.toSorted()).toEqual(['01:00.0', SIBLING, BDF, '02:04.0', DEEP]);

      await dev.config.write(4, 2, 6);
      const address = await m.mapped(dev, IOVA);
      expect(await device.dma.write(IOVA, text('conventional'))).toMatchObject({ outcome: 'performed' });
      expect(await m.text(address, 12)).toBe('conventional');
      // By that ID a sibling reaches the same, and a window of one blocks all.
      expect(await m.function(SIBLING).model.write(IOVA, 'sibling')).toMatchObject({ outcome: 'performed' });
      const window = await m.function(SIBLING).resetPrepare({ deadlineMs: 10 });
      expect(await device.dma.write(IOVA, text('x'))).toMatchObject({ outcome: 'blocked-domain' });
      await window.done();
      expect(await device.dma.write(IOVA, text('again'))).toMatchObject({ outcome: 'performed' });

      expect((await dev.resetProbe()).methods).not.toContain('flr');
      for (const method of ['af_flr', 'pm'] as const) {
        expect(await dev.reset({ method, deadlineMs: 10 })).toMatchObject({ method });
      }
      expect(resets).toEqual(['af_flr', 'pm']);
      await m.function(at === BDF ? '01:00.0' : '02:04.0').resetBus();
      await eventually(() => expect(resets.at(-1)).toBe('bus'));
    },
  );
}

scenario('what needs PCI Express is refused there, and nothing has changed', { topology: TOPOLOGY }, async (m) => {
  const link = await m.connect(['device']);
  for (const wrong of [{ ats: true }, { acs: true }, { capabilities: { express: false, flr: true } }]) {
    expect(await refusal(link.claimDevice(BDF, {}, { declare: { ...DECLARED, ...wrong } }))).toBe('EINVAL');
  }
  expect(await m.function(BDF).info()).toMatchObject({ vendor: 0x1234, absent: true });
  expect(m.hotplug.take()).toEqual([]);
});

scenario('one that was pulled out with its program can be declared anew', { topology: TOPOLOGY, peerGraceMs: 1 }, async (m) => {
  const link = await m.connect(['device']);
  await link.claimDevice(BDF, {}, { declare: DECLARED });
  await link.close();
  await eventually(async () => expect(await refusal(m.function(BDF).info())).toBe('ENODEV'));
  await (await m.connect(['device'])).claimDevice(BDF, { onRegionRead: () => 5 }, { declare: DECLARED });
  expect(await m.function(BDF).bar(0).read(0, 4)).toBe(5);
  expect(await m.function(BDF).info()).toMatchObject({ configBytes: 256, device: 0x1041 });
});
