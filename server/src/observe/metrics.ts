/** Prometheus text for `/metrics`. What runs often is counted as plain integers elsewhere and read only when someone asks. */
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';

/** What the service has counted. `…Total` only grow. */
export interface ServiceCounts {
  readonly machines: number;
  readonly sessions: number;
  readonly machinesTotal: number;
  readonly sessionsTotal: number;
  readonly framesReceivedTotal: number;
  readonly framesSentTotal: number;
  readonly bytesReceivedTotal: number;
  readonly bytesSentTotal: number;
  readonly callsTotal: number;
  readonly errorsTotal: number;
  readonly eventsLostTotal: number;
  readonly peerTimeoutsTotal: number;
  readonly peerMistakesTotal: number;
  readonly crashesTotal: number;
  readonly resetsTotal: number;
  readonly faultsTotal: number;
}

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
}

interface Row {
  readonly name: string;
  readonly help: string;
  readonly value: keyof ServiceCounts;
  readonly labels?: Readonly<Record<string, string>>;
}

const GAUGES: readonly Row[] = [
  { name: 'iommud_machines', help: 'Machines that exist', value: 'machines' },
  { name: 'iommud_sessions', help: 'Open connections to machines', value: 'sessions' },
];

const COUNTERS: readonly Row[] = [
  { name: 'iommud_machines_created_total', help: 'Machines that were made', value: 'machinesTotal' },
  { name: 'iommud_sessions_opened_total', help: 'Connections that were opened', value: 'sessionsTotal' },
  { name: 'iommud_frames_total', help: 'Frames on the wire', value: 'framesReceivedTotal', labels: { direction: 'received' } },
  { name: 'iommud_frames_total', help: 'Frames on the wire', value: 'framesSentTotal', labels: { direction: 'sent' } },
  { name: 'iommud_bytes_total', help: 'Bytes of messages on the wire', value: 'bytesReceivedTotal', labels: { direction: 'received' } },
  { name: 'iommud_bytes_total', help: 'Bytes of messages on the wire', value: 'bytesSentTotal', labels: { direction: 'sent' } },
  { name: 'iommud_calls_total', help: 'Calls that were submitted to machines', value: 'callsTotal' },
  { name: 'iommud_call_errors_total', help: 'Calls that were answered with an error', value: 'errorsTotal' },
  { name: 'iommud_events_lost_total', help: 'Events that a slow receiver was not sent', value: 'eventsLostTotal' },
  { name: 'iommud_peer_timeouts_total', help: 'Peers that owed an answer for too long', value: 'peerTimeoutsTotal' },
  { name: 'iommud_peer_mistakes_total', help: 'Answers of peers that fit no call, or not their call', value: 'peerMistakesTotal' },
  { name: 'iommud_machine_crashes_total', help: 'Machines that met a bug of the server', value: 'crashesTotal' },
  { name: 'iommud_resets_total', help: 'Reset windows that were opened', value: 'resetsTotal' },
  { name: 'iommud_faults_total', help: 'Requests that an IOMMU refused', value: 'faultsTotal' },
];

/**
 * `read` is called once for each scrape. `ofProcess` adds memory, CPU and event loop of the process, once for each process: it installs
 * observers of its own.
 */
export function createMetrics(version: string, read: () => ServiceCounts, ofProcess: boolean): Metrics {
  const registry = new Registry();
  if (ofProcess) collectDefaultMetrics({ register: registry });
  const about = { registers: [registry] };
  new Gauge({ ...about, name: 'iommud_build_info', help: 'The version that runs', labelNames: ['version'] }).set({ version }, 1);
  const gauges = GAUGES.map((row) => ({ row, gauge: new Gauge({ ...about, name: row.name, help: row.help }) }));
  const counters = new Map<string, Counter>();
  for (const { name, help, labels } of COUNTERS) {
    if (!counters.has(name)) counters.set(name, new Counter({ ...about, name, help, labelNames: Object.keys(labels ?? {}) }));
  }
  const update = (): void => {
    const counts = read();
    for (const { row, gauge } of gauges) gauge.set(counts[row.value]);
    for (const counter of counters.values()) counter.reset();
    for (const { name, labels, value } of COUNTERS) counters.get(name)?.inc({ ...labels }, counts[value]);
  };
  return {
    contentType: registry.contentType,
    text: () => {
      update();
      return registry.metrics();
    },
  };
}
