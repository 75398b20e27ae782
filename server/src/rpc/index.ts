/** The door of the meaning of the wire. */
export { bodyName } from './body-names.ts';
export { Buffers } from './buffers.ts';
export { rpcCounters, type RpcCounters, type RpcLog, type RpcLogLine } from './counters.ts';
export type { RoleName } from './enums.ts';
export type { Authorization, Authorize, Welcome } from './hello.ts';
export { MachineHost, type HostOptions } from './machine-host.ts';
export { decodeSnapshot } from './decode-snapshot.ts';
export { encodeSnapshot } from './encode-snapshot.ts';
export type { SessionStatus } from './session-status.ts';
export type { TracedMachine } from './trace-tap.ts';
export type { Wire, WireOwner } from './wire.ts';
export { decodeBody, encodeRecord, type Record, type RecordedFrame } from './recording/record.ts';
export type { RecordingEnd } from './recording/block-reader.ts';
export { RecordingFeed, readRecording, type Recording } from './recording/read-recording.ts';
export type { RecordingSink } from './recording/recorder.ts';
export type { RunningRecording } from './recording/recordings.ts';
export { replay, specOfRecording, type Difference, type Replayed, type ReplayOptions } from './recording/replay.ts';
