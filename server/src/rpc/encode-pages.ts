import { u64FromBigint, u64FromNumber, type iommud } from '../../../proto/index.ts';
/** Page requests and page faults, to bodies of the wire. */
import { NO_PASID } from '../core/base/index.ts';
import type { PageFault, Reply } from '../core/machine/index.ts';
import { PAGE_ANSWER } from './enums.ts';

/** ModelPageRequestReply and PageRequestReply are alike. */
export function pageRequestReply(reply: Extract<Reply, { kind: 'page-request' }>): iommud.v1.PageRequestReply.$Properties {
  return { answer: PAGE_ANSWER.number[reply.answer], group: reply.group, elapsedNs: u64FromNumber(reply.elapsedNs) };
}

export function pageFault(fault: PageFault): iommud.v1.PageFault.$Properties {
  return {
    number: fault.number,
    timeNs: u64FromNumber(fault.timeNs),
    function: fault.bdf,
    pasid: fault.pasid === NO_PASID ? null : fault.pasid,
    group: fault.group,
    domain: fault.domain,
    ranges: fault.ranges.map(({ iova, pages, access, privileged }) => ({ iova: u64FromBigint(iova), pages, access, privileged })),
  };
}
