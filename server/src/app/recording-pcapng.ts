/** A recording as packets: tshark and Wireshark decode them with client/wireshark/iommud.lua and the .proto files. */
import { pcapngHeader, pcapngInterface, pcapngPacket } from '../observe/index.ts';
import { encodeRecord, type Record, type Recording } from '../rpc/index.ts';

/** Every record is a packet of its connection's interface; the first two are of nobody's and of the service's own. */
export function recordingPcapng(recording: Recording): Uint8Array {
  const { start } = recording;
  const { name, behaviour, clock, seed, productVersion } = start;
  const pieces = [pcapngHeader(`iommud ${productVersion}`, `machine ${name}, ${behaviour}, clock ${clock}, seed ${seed}`)];
  const interfaces = new Map<number | undefined, number>();
  const interfaceOf = (peer: number | undefined, title: string, about: string): number => {
    const number = interfaces.size;
    interfaces.set(peer, number);
    pieces.push(pcapngInterface(title, about));
    return number;
  };
  interfaceOf(undefined, 'everybody', 'what the machine tells every host and observer');
  interfaceOf(0, 'service', 'commands by REST');
  for (const { id, client } of start.peers) interfaceOf(id, `peer ${id}`, client);
  for (const record of recording.records()) {
    const { peer, what } = record;
    const at = interfaces.get(peer) ?? interfaceOf(peer, `peer ${peer}`, what.kind === 'arrived' ? what.arrived.client : '');
    pieces.push(pcapngPacket(at, record.timeNs, directionOf(record), encodeRecord(record)));
  }
  return Buffer.concat(pieces);
}

/** As the machine sees it. */
function directionOf({ what }: Record): 'in' | 'out' | undefined {
  if (what.kind === 'received' || what.kind === 'command') return 'in';
  return what.kind === 'sent' || what.kind === 'reply' ? 'out' : undefined;
}
