/** Functions that come and go while a machine runs. */
import type { Events } from '../../proto/index.ts';
import { ask, type CallOptions } from './ask.ts';
import { bdfText, packBdf } from './bdf.ts';
import type { Channel } from './channel.ts';
import { nsOfMs, numberOf } from './numbers.ts';
import { shown } from './shown.ts';
import { waited, type Waited } from './waited.ts';

export interface PlugOptions extends CallOptions {
  /** The root or downstream port whose slot they come into; absent: wherever their addresses say. */
  readonly port?: string;
  /** As `functions` of a topology document, or such a list as text (`functions:` in YAML or JSON). Below a port addresses may leave out the bus. */
  readonly functions: readonly object[] | string;
}

export interface UnplugOptions extends CallOptions {
  /** Pulled out: its link is down at once. Absent: in order. */
  readonly surprise?: boolean;
  /** In order: how long what is in flight may take to end, on the machine's clock; 0 when absent. */
  readonly deadlineMs?: number;
}

export interface PlugReport extends Waited {
  /** By address. */
  readonly functions: readonly string[];
}

export interface UnplugReport extends PlugReport {
  /** Of what they had in flight. */
  readonly drained: number;
  readonly aborted: number;
  /** Of the Invalidate Requests that were awaited. */
  readonly completed: number;
  readonly timedOut: number;
}

/** A function has come, or is gone. */
export interface HotplugChange {
  readonly function: string;
  /** The bridge above it. */
  readonly port: string | undefined;
  readonly present: boolean;
  /** `plugged`, `unplugged`, `surprise`, `vf-enabled` or `vf-disabled`. */
  readonly reason: string;
  readonly timeNs: number;
}

export async function plug(channel: Channel, options: PlugOptions): Promise<PlugReport> {
  const { port, functions } = options;
  const topology = typeof functions === 'string' ? functions : JSON.stringify({ functions });
  const request = { port: port === undefined ? null : packBdf(port), topology };
  const { body } = await ask(channel, 'functionPlug', request, options);
  return shown({ functions: body.functions.map(bdfText), ...waited(body.elapsedNs) });
}

export async function unplug(channel: Channel, fn: number, options: UnplugOptions): Promise<UnplugReport> {
  const { surprise, deadlineMs } = options;
  const request = {
    function: fn,
    surprise: surprise ?? null,
    deadlineNs: deadlineMs === undefined ? null : nsOfMs(deadlineMs, 'deadlineMs'),
  };
  const { body } = await ask(channel, 'functionUnplug', request, options);
  const { drained, aborted, completed, timedOut } = body;
  return shown({ functions: body.functions.map(bdfText), drained, aborted, completed, timedOut, ...waited(body.elapsedNs) });
}

export function hotplugChange(event: Events['hotplugEvent']): HotplugChange {
  return shown({
    function: bdfText(event.function),
    port: typeof event.port === 'number' ? bdfText(event.port) : undefined,
    present: event.present,
    reason: event.reason,
    timeNs: numberOf(event.timeNs),
  });
}
