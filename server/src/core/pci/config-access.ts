import { ModelError, hex } from '../base/index.ts';

/** Sizes of an image in bytes: header only, header of a CardBus bridge as `lspci -x` shows it, conventional, PCIe. */
export const CONFIG_SIZES: readonly number[] = [64, 128, 256, 4096];

/** Refuses with `EINVAL` what no PCI transaction can ask of a space of `bytesOfSpace` bytes. */
export function checkConfigAccess(bytesOfSpace: number, offset: number, bytes: number): void {
  if (bytes !== 1 && bytes !== 2 && bytes !== 4) {
    throw new ModelError('EINVAL', `configuration space is read and written in 1, 2 or 4 bytes, not ${bytes}`, 'bytes');
  }
  if (!Number.isInteger(offset) || offset < 0) {
    throw new ModelError('EINVAL', `${offset} is no offset in configuration space`, 'offset');
  }
  if (offset + bytes > bytesOfSpace) {
    throw new ModelError(
      'EINVAL',
      `${bytes} bytes at ${hex(offset)} are beyond the ${bytesOfSpace} bytes of configuration space`,
      'offset',
    );
  }
  if (offset % bytes !== 0) {
    throw new ModelError('EINVAL', `offset ${hex(offset)} is not a multiple of the access's ${bytes} bytes`, 'offset');
  }
}
