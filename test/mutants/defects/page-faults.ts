/** Invariant 49: what whoever goes leaves behind, and what comes while it goes. */
import type { Defect } from '../defect.ts';

const FAULTS = 'iommu/page-faults.ts';
const MACHINE = 'machine/ats/page-faults.ts';

export const pageFaultDefects: readonly Defect[] = [
  {
    invariant: 49,
    file: MACHINE,
    find: 'const allowed = fn?.gateOpen === true && mayFault(m, fn, request.pasid);',
    replace: 'const allowed = fn !== undefined;',
    why: 'page requests of a function whose gate is closed are taken in',
  },
  {
    invariant: 49,
    file: 'machine/remote/absence.ts',
    find: '  answerPageRequests(m, fn);\n',
    replace: '  if (fn.resetting) answerPageRequests(m, fn);\n',
    why: 'a function leaves and its page requests wait for ever',
  },
  {
    invariant: 49,
    file: 'machine/reset/prepare.ts',
    find: '  answerPageRequests(m, fn);\n',
    replace: '  if (fn.entries.length === 0) answerPageRequests(m, fn);\n',
    why: 'page requests are answered when the fence is there, and not when the drain begins',
  },
  {
    invariant: 49,
    file: FAULTS,
    find: 'last.bdf === bdf && gone(last.pasid, domain)',
    replace: 'gone(last.pasid, domain)',
    why: 'who leaves has the page requests of other functions answered too',
  },
  {
    invariant: 49,
    file: FAULTS,
    find: '    this.#unpark(bdf, ({ pasid }) => gone(pasid, undefined));\n',
    replace: '',
    why: 'parts of a group outlive their function and join the next group with that index',
  },
  {
    invariant: 49,
    file: FAULTS,
    find: '    for (const { number } of taken) this.#groups.delete(number);\n',
    replace: '',
    why: 'what was answered Invalid Request can be answered again by a host',
  },
  {
    invariant: 49,
    file: FAULTS,
    find: '    this.#groups.delete(number);\n    return group;',
    replace: '    return group;',
    why: 'a host answers one group as often as it likes',
  },
  {
    invariant: 49,
    file: MACHINE,
    find: 'return domain !== undefined && translation.contextSpace(bdf, pasid)?.id !== domain.space.id;',
    replace: 'return domain !== undefined && translation.contextSpace(bdf, pasid) === undefined;',
    why: 'page faults of a domain that was replaced wait on',
  },
  {
    invariant: 49,
    file: MACHINE,
    find: "deliverPageResponse(m, group.last, 'invalid');\n}\n\n/** Whether",
    replace: "deliverPageResponse(m, group.last, 'success');\n}\n\n/** Whether",
    why: 'whoever goes has its page requests answered Success, and asks again',
  },
  {
    invariant: 49,
    file: 'devices/page-requester.ts',
    find: 'if (known?.serial !== serial) return undefined;',
    replace: 'if (known === undefined || serial === 0) return undefined;',
    why: 'an answer to a group that a reset took completes the next one with its index',
  },
];
