/** A recording as a timeline: what its functions did, which a replay tells, and the calls of its connections. */
import { KIND } from '../../../proto/index.ts';
import type { MachineSpec } from '../core/machine/index.ts';
import { Timeline, type TimelineTrack } from '../observe/index.ts';
import { bodyName, specOfRecording, type Record, type Recording } from '../rpc/index.ts';
import { play } from './recording.ts';

/** JSON of the Trace Event Format. Throws ModelError EINVAL for a recording that cannot be played here, and where a replay differs. */
export function recordingTimeline(recording: Recording): string {
  const { start } = recording;
  const timeline = new Timeline(start.name, titlesOf(specOfRecording(recording)));
  const names = new Map<number, string>([[0, 'REST']]);
  for (const { id, client } of start.peers) names.set(id, `peer ${id} ${client}`);
  const groupOf = (peer: number): TimelineTrack => timeline.group(names.get(peer) ?? `peer ${peer}`);
  const { nowNs } = play(recording, {
    trace: timeline.sink,
    onRecord: (record) => {
      if (record.what.kind === 'arrived') names.set(record.what.arrived.id, `peer ${record.what.arrived.id} ${record.what.arrived.client}`);
      if (record.peer !== undefined) showRecord(groupOf(record.peer), record);
    },
  });
  return timeline.end(nowNs);
}

function titlesOf({ functions }: MachineSpec): ReadonlyMap<number, string> {
  return new Map(functions.map(({ bdf, model, label }) => [bdf, label === '' ? model : `${model} ${label}`]));
}

const CONNECTION = 'connection';

/** A call is a slice from when it came to when its reply was due. */
function showRecord(group: TimelineTrack, { timeNs, input, what }: Record): void {
  switch (what.kind) {
    case 'received':
    case 'sent': {
      const { id, kind, number } = what.frame;
      const name = bodyName(number);
      const side = what.kind === 'received' ? 'call' : 'asked';
      if (kind === KIND.call && id !== 0) group.start(side, id, name, timeNs, { id, input });
      else if (kind === KIND.call) group.instant(CONNECTION, `${name}, posted`, timeNs, { input });
      else if (kind === KIND.reply) group.finish(what.kind === 'sent' ? 'call' : 'asked', id, timeNs, { reply: name });
      break;
    }
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
    case 'alarm':
      break;
  }
}

function commandKind(json: string): string {
  return (JSON.parse(json) as { readonly kind?: string }).kind ?? 'command';
}
