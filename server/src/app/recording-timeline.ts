/** A recording as a timeline: what its functions did, which a replay tells, and the calls of its connections. */
import { BODY, KIND, type U64 } from '../../../proto/index.ts';
import type { MachineSpec } from '../core/machine/index.ts';
import { Timeline, type TimelineTrack } from '../observe/index.ts';
import { bodyName, decodeBody, specOfRecording, type Record, type RecordedFrame, type Recording } from '../rpc/index.ts';
import { play } from './recording.ts';

/** JSON of the Trace Event Format. Throws ModelError EINVAL for a recording that cannot be played here, and where a replay differs. */
export function recordingTimeline(recording: Recording): string {
  const { start } = recording;
  const timeline = new Timeline(start.name, titlesOf(specOfRecording(recording)));
  const names = new Map<number, string>([[0, 'REST']]);
  for (const { id, client } of start.peers) names.set(id, `peer ${id} ${client}`);
  const groupOf = (peer: number): TimelineTrack => timeline.group(names.get(peer) ?? `peer ${peer}`);
  let wallFromMs: number | undefined;
  const { nowNs } = play(recording, {
    trace: timeline.sink,
    onRecord: (record) => {
      if (record.what.kind === 'arrived') names.set(record.what.arrived.id, `peer ${record.what.arrived.id} ${record.what.arrived.client}`);
      if (record.wallMs !== undefined) {
        wallFromMs ??= record.wallMs;
        timeline.count('wall clock, ms', record.timeNs, record.wallMs - wallFromMs);
      }
      if (record.peer !== undefined) showRecord(groupOf(record.peer), record, timeline);
    },
  });
  return timeline.end(nowNs);
}

function titlesOf({ functions }: MachineSpec): ReadonlyMap<number, string> {
  return new Map(functions.map(({ bdf, model, label }) => [bdf, label === '' ? model : `${model} ${label}`]));
}

const CONNECTION = 'connection';
/** Calls of the server that it owes answers to. */
const ASKED = 'asked';
const PAGE_BYTES = 4096;

/** A call is a slice from when it came to when its reply was due. */
function showRecord(group: TimelineTrack, record: Record, timeline: Timeline): void {
  const { timeNs, input, peer = 0, what } = record;
  switch (what.kind) {
    case 'received':
    case 'sent': {
      const { id, kind, number } = what.frame;
      const name = bodyName(number);
      if (kind === KIND.call && id === 0) group.instant(CONNECTION, `${name}, posted`, timeNs, { input });
      else if (kind === KIND.call && what.kind === 'received') group.start('call', id, name, timeNs, { id, input });
      else if (kind === KIND.call) {
        const arrow = timeline.ownerAsked(peer, pageAsked(what.frame));
        group.beginLane(ASKED, id, name, timeNs, { args: { id }, ...(arrow === undefined ? {} : { arrow }) });
      } else if (kind === KIND.reply && what.kind === 'sent') group.finish('call', id, timeNs, { reply: name });
      else if (kind === KIND.reply) group.endLane(ASKED, id, timeNs, { reply: name });
      break;
    }
    case 'session-received':
      group.instant(CONNECTION, `${bodyName(what.frame.number)}, of its session`, timeNs, { input });
      break;
    case 'closed':
      group.instant(CONNECTION, `closed ${what.code}`, timeNs, { reason: what.reason, by: what.by });
      break;
    case 'room':
      group.instant(CONNECTION, what.room ? 'reads on' : 'does not read: events wait', timeNs);
      break;
    case 'command':
      group.start('call', what.token, commandKind(what.json), timeNs, { input });
      break;
    case 'reply':
      group.finish('call', what.token, timeNs, { reply: commandKind(what.json) });
      break;
    case 'arrived':
      group.begin(CONNECTION, what.arrived.client, timeNs, { input });
      break;
    case 'gone':
      group.end(CONNECTION, timeNs, { reason: what.reason });
      break;
    case 'silent':
      group.instant(CONNECTION, 'silent for too long', timeNs, { input });
      break;
    default:
      break;
  }
}

/** The page that an owner of memory is asked for; -1: this is another call. */
function pageAsked({ number, body }: RecordedFrame): number {
  if (number !== BODY.memoryRead && number !== BODY.memoryWrite) return -1;
  const asked: { readonly address?: U64 | null } | undefined = decodeBody({ number, body });
  const address = asked?.address;
  return address === undefined || address === null ? -1 : Math.floor(((address.high >>> 0) * 2 ** 32 + (address.low >>> 0)) / PAGE_BYTES);
}

function commandKind(json: string): string {
  return (JSON.parse(json) as { readonly kind?: string }).kind ?? 'command';
}
