/** The door of the sinks: where what happens goes to be seen. */
export { pcapngHeader, pcapngInterface, pcapngPacket } from './pcapng.ts';
export { openRecordingFile, type RecordingFile } from './recording-file.ts';
export { createLog, LOG_LEVELS, type Log, type LogLevel } from './log.ts';
export { createMetrics, type Metrics, type ServiceCounts } from './metrics.ts';
export { openTraceFile, type TraceFile } from './trace-file.ts';
export { Timeline, type TimelineTrack } from './timeline.ts';
export { traceLine } from './trace-line.ts';
