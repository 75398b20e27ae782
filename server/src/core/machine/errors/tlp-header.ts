/** Headers of TLPs, as the Header Log shows them: four words, the first byte of the header in the top of the first (PCIe Base r6.0 §2.2). */
import { AT, type Bdf, type DmaOperation } from '../../base/index.ts';

const FORMAT = { threeWords: 0, fourWords: 1, data: 2 } as const;
const TYPE = { memory: 0, fetchAdd: 0xc, swap: 0xd, compareAndSwap: 0xe, completion: 0xa } as const;
const RID_MASK = 0xffff;

export interface MemoryTlp {
  readonly bdf: Bdf;
  readonly operation: DmaOperation;
  /** Int32 halves. */
  readonly addressLow: number;
  readonly addressHigh: number;
  readonly bytes: number;
  readonly translated: boolean;
  readonly poisoned: boolean;
  readonly tag: number;
}

const TYPE_OF: Readonly<Record<DmaOperation, number>> = {
  read: TYPE.memory,
  write: TYPE.memory,
  translate: TYPE.memory,
  'fetch-add': TYPE.fetchAdd,
  swap: TYPE.swap,
  'compare-and-swap': TYPE.compareAndSwap,
};

/** Of a memory or atomic request, or a translation request. Addresses below 4 GiB have the short header (§2.2.4.1). */
export function memoryHeader(tlp: MemoryTlp): readonly number[] {
  const { bdf, operation, addressLow, addressHigh, bytes, translated, poisoned, tag } = tlp;
  const hasData = operation !== 'read' && operation !== 'translate';
  const long = addressHigh !== 0;
  const format = (long ? FORMAT.fourWords : FORMAT.threeWords) | (hasData ? FORMAT.data : 0);
  const first = addressLow & 3;
  // A translation completion has two words for each translation, and its request no byte enables.
  const words = operation === 'translate' ? 2 : Math.ceil((first + bytes) / 4);
  const at = operation === 'translate' ? AT.translationRequest : translated ? AT.translated : AT.untranslated;
  const head = (format << 29) | (TYPE_OF[operation] << 24) | ((poisoned ? 1 : 0) << 14) | (at << 10) | (words & 0x3ff);
  const enables = operation === 'translate' ? 0xff : byteEnables(first, bytes, words);
  const requester = ((bdf & RID_MASK) << 16) | ((tag & 0xff) << 8) | enables;
  const low = addressLow & ~3;
  return (long ? [head, requester, addressHigh, low] : [head, requester, low, 0]).map((word) => word >>> 0);
}

/** Last in the upper half, 0 where there is one word; first in the lower (§2.2.5). */
function byteEnables(first: number, bytes: number, words: number): number {
  const end = (first + bytes) & 3;
  const firstEnable = (0xf << first) & 0xf;
  const lastEnable = end === 0 ? 0xf : (1 << end) - 1;
  return words === 1 ? firstEnable & lastEnable : (lastEnable << 4) | firstEnable;
}

/** Of a completion with data for a request of this function, from the root complex where nothing else is said (§2.2.9). */
export function completionHeader(requester: Bdf, bytes: number, addressLow: number, tag: number, completer = 0): readonly number[] {
  const words = Math.ceil(((addressLow & 3) + bytes) / 4);
  const head = (FORMAT.data << 29) | (TYPE.completion << 24) | (words & 0x3ff);
  const status = (((completer & RID_MASK) << 16) | (bytes & 0xfff)) >>> 0;
  return [head >>> 0, status, (((requester & RID_MASK) << 16) | ((tag & 0xff) << 8) | (addressLow & 0x7f)) >>> 0, 0];
}
