/** Commands about page requests, for tests that look at core itself. */
import { NO_PASID, pasid, type Bdf } from '../../server/src/core/base/index.ts';
import type { Command } from '../../server/src/core/machine/index.ts';

export type PageFields = Partial<Omit<Extract<Command, { kind: 'page-request' }>, 'kind' | 'bdf' | 'pasid' | 'iova'>> & {
  readonly pasid?: number;
  readonly iova?: number;
};

export function pageRequestCommand(
  at: Bdf,
  fields: PageFields,
  kind: 'model-page-request' | 'page-request' = 'model-page-request',
): Command {
  return {
    kind,
    bdf: at,
    pages: 1,
    access: 1,
    privileged: false,
    group: undefined,
    last: true,
    stopMarker: false,
    ...fields,
    iova: BigInt(fields.iova ?? 0),
    pasid: fields.pasid === undefined ? NO_PASID : pasid(fields.pasid),
  };
}
