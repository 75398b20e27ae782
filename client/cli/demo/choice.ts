/**
 * One story for every reset method, fault and behaviour that can be chosen. What must come of it is known beforehand by a few rules; each is a claim that is
 * checked against the machine.
 */
import { THEIRS, end, giveAway, prologue, storyOf, type Act, type Claim } from './act.ts';
import { Stage, type Behaviour, type Doors, type FaultKind, type Reply, type ResetMethod, type TraceRecord } from './stage.ts';

export const METHODS = ['device_specific', 'acpi', 'flr', 'af_flr', 'pm', 'bus', 'cxl_bus'] as const satisfies readonly ResetMethod[];
export const BEHAVIOURS = ['strict', 'linux-7.1', 'linux-7.0'] as const satisfies readonly Behaviour[];
/** Kinds of faults on purpose that the function may have, or `none`. */
export const FAULTS = [
  'none',
  'ignore-invalidations',
  'late-invalidations',
  'wrong-itag',
  'duplicate-completions',
  'never-ready',
  'surprise-down',
  'attach-fails',
] as const satisfies readonly (FaultKind | 'none')[];

export interface Choice {
  readonly method: (typeof METHODS)[number];
  readonly fault: (typeof FAULTS)[number];
  readonly behaviour: (typeof BEHAVIOURS)[number];
}

const LATE = 'a late write';
const AFTER = 'back to work';
const DRAIN_MS = 100;
const LATE_MS = 300;
/** After it every reset has ended, also one that waits a minute for readiness. */
const ENDED_MS = 80_000;
const BLOCKED = 4;
const COMMAND = 4;
const BUS_MASTER = 0x4;

/** What the story comes to, by rule. */
interface Expected {
  readonly answer: 'ok' | 'ENOTTY' | 'EIO' | 'EBUSY';
  readonly triggered: boolean;
  /** The late write lands in a page that is process B's. */
  readonly harm: boolean;
  readonly blocked: boolean;
}

function expectedOf({ method, fault, behaviour }: Choice, window: boolean): Expected {
  const strict = behaviour === 'strict';
  // Before 0d5fd7a9323c a window within a window was refused, and cxl_bus has that of bus inside its own.
  const nests = window && behaviour === 'linux-7.0' && method === 'cxl_bus';
  const refused = window && fault === 'attach-fails';
  const dead = fault === 'never-ready' || fault === 'surprise-down';
  // pci_pm_reset() finds that nobody answers before it has a window or changes anything.
  const noWindow = method === 'pm' && fault === 'surprise-down';
  const answer = refused ? 'EIO' : nests ? 'EBUSY' : dead ? 'ENOTTY' : 'ok';
  return {
    answer,
    // Over a link that is down only a bus reset arrives, which is no message.
    triggered: !refused && !nests && (fault !== 'surprise-down' || method === 'bus' || method === 'cxl_bus'),
    // A window that is open still when the write comes refuses it; a link that is down has lost it.
    harm: !strict && fault !== 'surprise-down' && !(window && fault === 'never-ready' && !nests),
    blocked: strict && window && dead && !noWindow,
  };
}

/** The function is reset while a switch holds a write of it, and the page of the write is unmapped and given away. */
export function chosen(doors: Doors, seed: number, choice: Choice, window: boolean): Act {
  const { method, fault, behaviour } = choice;
  const { iova, newIova, switchMs, unmapMs } = storyOf(doors, seed);
  const stage = new Stage(doors, behaviour, seed, topologyOf(method));
  const tell = (): void => stage.tellAll((record) => sentence(record, method));
  const domain = stage.shareAddressSpace();
  const page = stage.allocPage();
  prologue(stage, domain, page, iova);
  const late = stage.startWrite(iova, LATE, { hold: 'issued' });
  tell();
  if (fault !== 'none') stage.arm(fault, fault === 'late-invalidations' ? LATE_MS : 0);
  if (fault !== 'none') stage.say(`from now on the function has the fault ${fault}`);
  const reset = stage.startReset(window, method, DRAIN_MS);
  stage.passTo(unmapMs);
  const during = stage.reply(reset) === undefined ? stage.startWrite(iova, 'in the reset') : undefined;
  tell();
  stage.say('process A unmaps the page');
  const unmap = stage.startUnmap(domain, iova);
  stage.passTo(switchMs);
  tell();
  const unmapped = stage.reply(unmap) !== undefined;
  const { reused, other } = giveAway(stage, page);
  if (stage.outcome(late) === 'waiting') stage.releaseHeld();
  const inPage = stage.readText(other, THEIRS.length);
  stage.say(`what became of the write in the switch: ${stage.outcome(late)}; process B's page begins "${inPage}"`);
  stage.passTo(ENDED_MS);
  tell();
  const triggered = stage.seen('function-reset').length > 0;
  const answer = stage.reply(reset);
  const { blocked } = stage.state();
  const again = backToWork(stage, domain, newIova, fault);
  const performed = during !== undefined && stage.outcome(during) === 'performed';
  const came = { answer, triggered, performed, late: stage.outcome(late), unmapped: unmapped && reused, inPage, blocked, again };
  const title = `${method}${fault === 'none' ? '' : `, ${fault}`}: ${window ? 'with prepare and done' : 'without the window'}`;
  return end(stage, title, behaviour, claims(expectedOf(choice, window), came));
}

interface Came {
  readonly answer: Reply | undefined;
  readonly triggered: boolean;
  /** A write that the function tried in the reset was. */
  readonly performed: boolean;
  readonly late: string;
  readonly unmapped: boolean;
  readonly inPage: string;
  readonly blocked: boolean;
  readonly again: string;
}

function claims(expected: Expected, { answer, triggered, performed, late, unmapped, inPage, blocked, again }: Came): readonly Claim[] {
  const came = answer?.kind === 'refused' ? answer.code : answer?.kind === 'reset' ? 'ok' : 'nothing';
  const ms = answer?.kind === 'refused' || answer?.kind === 'reset' ? answer.elapsedNs / 1e6 : 0;
  const landed = inPage.startsWith(LATE);
  return [
    { text: `the reset ended with ${came} after ${ms} ms`, holds: came === expected.answer },
    {
      text: expected.triggered ? 'the function was reset' : 'the function was not reset',
      holds: triggered === expected.triggered,
    },
    { text: 'nothing left the function while it was being reset', holds: !performed },
    { text: 'the unmap was answered, and its page given to process B', holds: unmapped },
    expected.harm
      ? { text: "the late write landed in process B's page", holds: landed && late === 'performed' }
      : { text: `process B's data is whole: the late write was ${late}`, holds: inPage === THEIRS && late !== 'performed' },
    {
      text: expected.blocked ? 'the function stays blocked until a reset of it succeeds' : 'the function is not blocked afterwards',
      holds: blocked === expected.blocked,
    },
    { text: 'with the fault gone one more reset brings it back to work', holds: again === AFTER },
  ];
}

/** What a write to a page of its own leaves there, when all is mended. */
function backToWork(stage: Stage, domain: number, iova: bigint, fault: Choice['fault']): string {
  if (fault !== 'none') stage.disarm(fault);
  stage.startReset(true, undefined, DRAIN_MS);
  stage.passTo(2 * ENDED_MS);
  stage.setUp();
  const page = stage.allocPage();
  stage.map(domain, iova, page);
  const outcome = stage.outcome(stage.startWrite(iova, AFTER));
  stage.say(`${fault === 'none' ? '' : 'the fault is gone; '}after one more reset a write of the function: ${outcome}`);
  return stage.readText(page, AFTER.length);
}

/** What a record says to somebody who watches; undefined: nothing. */
function sentence({ kind, b, c, d }: TraceRecord, method: string): string | undefined {
  switch (kind) {
    case 'dma-held':
      return 'the function issues a posted write with a translated address; a switch holds it';
    case 'dma-aborted':
      return 'what the function has in flight is dropped';
    case 'config-write':
      return b === COMMAND && (c & BUS_MASTER) === 0 ? `the host resets the function by ${method}: bus mastering off` : undefined;
    case 'gate':
      return b === 0 ? 'prepare closes the gate and waits for what is in flight' : 'the gate is open again';
    case 'prepare':
      return b === BLOCKED ? 'the function is blocked: the window is open' : undefined;
    case 'invalidation-sent':
      return d === 0 ? 'the IOMMU asks it to invalidate its whole ATC' : 'the IOMMU asks it to invalidate the page';
    case 'invalidation-ignored':
      return 'the function ignores it';
    case 'invalidation-completed':
      return 'the Invalidate Completion comes';
    case 'invalidation-timeout':
      return 'the IOMMU gives the invalidation up';
    case 'function-reset':
      return 'the function is reset';
    case 'function-ready':
      return 'the function answers again';
    case 'link':
      return b === 0 ? 'its link is down' : 'its link is up';
    case 'done':
      return d === 0
        ? 'reset-done gives translation back: the window is closed'
        : 'reset-done closes the window; the function stays blocked';
    default:
      return undefined;
  }
}

/** The function of preset `switch`, with every method that there is. */
function topologyOf(method: string): object {
  const bytes = Array(30).fill('00').join(' ');
  return {
    schema: 'iommud.topology/v1',
    functions: [
      {
        address: '00:01.0',
        model: 'root-port',
        children: [
          {
            address: '00.0',
            model: 'upstream-port',
            children: [
              {
                address: '00.0',
                model: 'downstream-port',
                ...(method === 'cxl_bus' ? { capabilities: { dvsec: { vendor: '0x1e98', id: 3, revision: 0, bytes } } } : {}),
                children: [
                  {
                    address: '00.0',
                    model: 'dma-probe',
                    reset: { deviceSpecific: 'plain', acpi: 'works' },
                    capabilities: { af: true, pm: { noSoftReset: false } },
                  },
                ],
              },
            ],
          },
        ],
      },
    ],
  };
}
