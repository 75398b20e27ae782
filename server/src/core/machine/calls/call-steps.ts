/**
 * The steps of the calls that can be held (`call-hold`), each in the order in which the call comes to it. A step may come several times, or not at
 * all: `pasid` once for each PASID, `atc-sent` where ATS is in use, everything after `check` not in a call that is refused.
 */

/** What each step does, as docs/steps.md has it. */
export const STEPS = {
  test: 'looks, without the mutex, whether there is anything to do',
  lock: 'takes the group mutex; waits in line while another call has it',
  check: 'looks at the rules under the mutex: current domain, open windows, ownership, arguments',
  gate: 'closes the gate of the function: it may issue nothing; answers its pending translation requests (`strict`)',
  drained: 'goes on when the in-flight ledger is empty or has been aborted',
  rid: "points the RID's device context at its new domain",
  pasid: "points one PASID's device context at its new domain, or removes it",
  tables: 'takes the range out of the page tables',
  queue: 'enters the address into the flush queue (lazy default domains); where it is full, waits for a flush',
  iotlb: 'invalidates the IOTLB, and notes the requests in flight that were translated before',
  'atc-sent': 'sends the Invalidate Request to the function',
  'atc-completed': 'goes on when every Invalidate Request has been completed or has timed out, and what was noted has been performed',
  'ats-enable': 'sets or clears ATS Enable',
  blocked: 'sets or clears `blocked` of the function',
  'group-domain': "makes the new domain the group's logical one",
  'default-domain': "makes the new domain the group's default",
  'pasid-table': "enters the domain into the group's PASID table, or removes it",
  owner: 'notes who owns the group',
  count: 'counts the function in, or out, of the functions in a window; opens the gate after a window',
  unlock: 'gives the mutex back, and answers',
  deliver: 'reaches the function, whose ATC drops what it names',
  'error-detected': 'asks every driver below the port what it votes (`error_detected`)',
  'mmio-enabled': 'where all can recover: tells them that registers answer (`mmio_enabled`), and asks again',
  'reset-subordinates':
    'where one needs it, or the link was frozen: resets what is below the port, or the function (`strict`: with its windows)',
  'slot-reset': 'after a reset: tells the drivers (`slot_reset`), and asks again',
  resume: 'where all have recovered: clears the errors; answers',
} as const satisfies Record<string, string>;
export type StepName = keyof typeof STEPS;

const MOVE_RID = ['test', 'lock', 'check', 'rid', 'iotlb', 'atc-sent', 'ats-enable', 'group-domain', 'atc-completed', 'unlock'] as const;
const MOVE_PASID = ['test', 'lock', 'check', 'pasid', 'iotlb', 'atc-sent', 'ats-enable', 'pasid-table', 'atc-completed', 'unlock'] as const;

export const CALL_STEPS = {
  prepare: [
    'test',
    'lock',
    'check',
    'gate',
    'drained',
    'rid',
    'iotlb',
    'atc-sent',
    'atc-completed',
    'ats-enable',
    'blocked',
    'pasid',
    'iotlb',
    'count',
    'unlock',
  ],
  done: ['lock', 'check', 'rid', 'iotlb', 'ats-enable', 'blocked', 'pasid', 'count', 'unlock'],
  attach: MOVE_RID,
  detach: MOVE_RID,
  'deferred-attach': MOVE_RID.filter((step) => step !== 'group-domain'),
  claim: [...MOVE_RID.slice(0, -2), 'owner', 'atc-completed', 'unlock'],
  release: ['test', 'lock', 'check', 'owner', ...MOVE_RID.slice(3)],
  leave: ['lock', 'gate', 'drained', 'rid', 'iotlb', 'atc-sent', 'atc-completed', 'ats-enable', 'blocked', 'pasid', 'iotlb', 'unlock'],
  'default-domain': [...MOVE_RID.slice(0, 3), 'default-domain', ...MOVE_RID.slice(3)],
  'pasid-attach': MOVE_PASID,
  'pasid-detach': MOVE_PASID,
  unmap: ['tables', 'queue', 'iotlb', 'atc-sent', 'atc-completed'],
  flush: ['iotlb', 'atc-sent', 'atc-completed'],
  invalidate: ['deliver'],
  recover: ['error-detected', 'mmio-enabled', 'reset-subordinates', 'slot-reset', 'resume'],
} as const satisfies Record<string, readonly StepName[]>;
export type CallName = keyof typeof CALL_STEPS;
