import type { Calls } from '../../../proto/index.ts';
/** Calls about page requests and page faults, to commands of the machine. */
import type { Command } from '../core/machine/index.ts';
import { PAGE_ANSWERS_OF_HOSTS } from './enums.ts';
import { needBigint, needFunction, needUint32, needWord, optionalPasid } from './fields.ts';

type Decoded = Calls['modelPageRequest']['decoded'] | Calls['pageRequest']['decoded'];

export const PAGE_ROWS = {
  modelPageRequest: {
    roles: ['host'],
    decode: (b: Calls['modelPageRequest']['decoded']) => ({ kind: 'model-page-request', ...pageRequest(b) }),
  },
  pageRequest: { roles: ['device'], decode: (b: Calls['pageRequest']['decoded']) => ({ kind: 'page-request', ...pageRequest(b) }) },
  pageResponse: {
    roles: ['host'],
    decode: (b: Calls['pageResponse']['decoded']) => ({
      kind: 'page-response',
      fault: needUint32(b.fault, 'fault'),
      answer: needWord(b.answer, 'answer', PAGE_ANSWERS_OF_HOSTS),
    }),
  },
  pageFaults: { roles: ['host', 'observer'], decode: () => ({ kind: 'page-faults' }) },
} as const satisfies Readonly<Record<string, { readonly roles: readonly string[]; readonly decode: (b: never) => Command }>>;

/** A Stop Marker has no page. */
function pageRequest(b: Decoded): Omit<Extract<Command, { kind: 'page-request' }>, 'kind'> {
  const stopMarker = b.stopMarker ?? false;
  return {
    bdf: needFunction(b.function),
    iova: stopMarker && b.iova === null ? 0n : needBigint(b.iova, 'iova'),
    pages: b.pages ?? 1,
    access: b.access ?? 1,
    pasid: optionalPasid(b.pasid),
    privileged: b.privileged ?? false,
    group: b.group ?? undefined,
    last: b.last ?? true,
    stopMarker,
  };
}
