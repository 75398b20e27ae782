/** Behind bridges to conventional PCI functions are known by the bridge's requester ID. */
import { expect } from 'vitest';
import { scenario } from '../kit/scenario.ts';

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
          - address: "04.0"
            model: pci-bridge
            children: [{ address: "02.0", model: dma-probe }]
  - address: "00:1e.0"
    model: pci-bridge
    children: [{ address: "03.0", model: dma-probe }]
  - { address: "00:05.0", model: dma-probe }
  - { address: "00:05.1", model: dma-probe, acs: true, dmaAliases: ["05.7"] }
`;
const IOVA = 0x10000;

scenario('functions behind a bridge from PCI Express share a group, a domain and what they reach', { topology: TOPOLOGY }, async (m) => {
  const [first, second] = [m.function('02:01.0'), m.function('03:02.0')];
  await m.mapped(first, IOVA);
  expect(await first.model.write(IOVA, 'one')).toMatchObject({ outcome: 'performed' });
  expect(await second.model.write(IOVA, 'two')).toMatchObject({ outcome: 'performed' });
  expect((await first.group()).members).toEqual(['01:00.0', '02:01.0', '02:04.0', '03:02.0']);
});

scenario('a function that uses the requester ID of another one is translated by its own domain', { topology: TOPOLOGY }, async (m) => {
  const quirk = m.function('00:05.1');
  await m.mapped(quirk, IOVA);
  expect(await quirk.model.write(IOVA, 'own')).toMatchObject({ outcome: 'performed' });
  expect(await m.function('00:05.0').model.write(IOVA, 'other')).toMatchObject({ outcome: 'not-present' });
});

scenario('a reset window of one of them blocks the requester ID that they share', { topology: TOPOLOGY }, async (m) => {
  const [first, second] = [m.function('02:01.0'), m.function('03:02.0')];
  await m.mapped(first, IOVA);
  const window = await first.resetPrepare({ deadlineMs: 10 });
  expect(await second.model.write(IOVA, 'astray')).toMatchObject({ outcome: 'blocked-domain' });
  await window.done();
  expect(await second.model.write(IOVA, 'again')).toMatchObject({ outcome: 'performed' });
});
