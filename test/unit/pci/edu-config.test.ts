import { expect, it } from 'vitest';
import { ConfigSpace, EDU_BAR_BYTES, eduConfig, walkCapabilities } from '../../../server/src/core/pci/index.ts';

it("edu's configuration space is QEMU's, with PM: a conventional function with INTA, MSI and one BAR of 1 MiB", () => {
  const image = eduConfig({ address: 0xe010_0000n });
  const config = new ConfigSpace(image, { name: 'edu', barBytes: EDU_BAR_BYTES });
  const u16 = (at: number): number => config.read(at, 2);
  expect(image).toHaveLength(256);
  expect([u16(0), u16(2), config.read(8, 4), u16(0x3c)]).toEqual([0x1234, 0x11e8, 0x00ff_0010, 0x0100]);
  expect(config.bars()).toMatchObject([{ index: 0, sizeLg2: 20 }]);
  expect(config.read(0x10, 4)).toBe(0xe010_0000);
  const { capabilities } = walkCapabilities(image);
  expect(capabilities.map(({ id }) => id)).toEqual([0x01, 0x05]);
  const msi = capabilities[1]?.offset ?? 0;
  // One vector, 64-bit addresses.
  expect(u16(msi + 2)).toBe(0x0080);
  expect(config.resetMethods()).toEqual(['pm']);
  expect(config.warnings).toEqual([]);
});
