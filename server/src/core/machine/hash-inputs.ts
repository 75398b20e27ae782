/**
 * What of an input or an output goes into the trace hash: all of it, but for a part of bulk reads (ADR 0004). Frequent kinds go in as integers, the
 * others field by field.
 */
import { OUTCOMES, type Outcome } from '../base/index.ts';
import type { Command, DmaRead, DmaWrite, ModelDma } from './command.ts';
import type { Outgoing } from './outgoing.ts';
import type { Reply } from './reply.ts';
import type { TraceHash } from './trace-hash.ts';

export function hashCommand(hash: TraceHash, command: Command): void {
  switch (command.kind) {
    case 'region-read':
      hash.addInt(1);
      hash.addInt(command.bdf);
      hash.addInt(command.region);
      hash.addNumber(command.offset);
      hash.addNumber(command.bytes);
      break;
    case 'dma-read':
      hash.addInt(2);
      hashPlace(hash, command);
      hash.addNumber(command.bytes);
      if (command.translated === true) hash.addText('translated');
      if (command.privileged === true) hash.addText('privileged');
      if (command.execute === true) hash.addText('execute');
      break;
    case 'dma-write':
      hash.addInt(3);
      hashPlace(hash, command);
      hash.addBytes(command.data);
      if (command.translated === true) hash.addText('translated');
      if (command.privileged === true) hash.addText('privileged');
      break;
    case 'model-dma':
      hash.addInt(4);
      hashPlace(hash, command);
      hash.addText(command.operation);
      hash.addNumber(command.bytes);
      hash.addInt(command.translated ? 1 : 0);
      hash.addText(command.hold ?? '');
      hash.addNumber(command.holdNs);
      if (command.privileged === true) hash.addText('privileged');
      if (command.execute === true) hash.addText('execute');
      if (command.write === true) hash.addText('write');
      if (command.translations !== undefined) hash.addNumber(command.translations);
      if (command.onFault !== undefined) hash.addText(command.onFault);
      if (command.data !== undefined) hash.addBytes(command.data);
      break;
    default:
      hash.addValue(command);
  }
}

function hashPlace(hash: TraceHash, command: DmaRead | DmaWrite | ModelDma): void {
  hash.addInt(command.bdf);
  hash.addInt(command.iovaLow);
  hash.addInt(command.iovaHigh);
  hash.addInt(command.pasid);
}

/** `to`: the ordinal of the peer that it goes to. */
export function hashOutgoing(hash: TraceHash, item: Outgoing, to: number): void {
  hash.addInt(OUTGOING_NUMBER[item.type]);
  hash.addInt(to);
  if (item.type === 'reply') {
    hashReply(hash, item.reply);
  } else if (item.type === 'event') {
    hash.addValue(item.event);
  } else {
    hash.addInt(item.token);
    hash.addValue(item.call);
  }
}

const OUTGOING_NUMBER = { reply: 1, event: 2, call: 3 } as const satisfies Record<Outgoing['type'], number>;
const OUTCOME_NUMBER = new Map<Outcome, number>(OUTCOMES.map((outcome, number) => [outcome, number]));

function hashReply(hash: TraceHash, reply: Reply): void {
  if (reply.kind === 'region-read') {
    hash.addInt(reply.valueLow);
    hash.addInt(reply.valueHigh);
  } else if (reply.kind === 'dma') {
    hash.addInt(OUTCOME_NUMBER.get(reply.outcome) ?? -1);
    hash.addInt(reply.requests);
    hash.addInt(reply.bytesDone);
    hash.addNumber(reply.elapsedNs);
    if (reply.data !== undefined) hash.addRead(reply.data);
    if (reply.grants !== undefined) hash.addValue(reply.grants);
    if (reply.absentOwner !== undefined) hash.addNumber(reply.absentOwner);
  } else if (reply.kind === 'memory-read' || reply.kind === 'config-read') {
    hash.addRead(reply.data);
  } else {
    hash.addValue(reply);
  }
}
