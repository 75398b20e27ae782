/** What sessions and hosts count, as plain integers: adding is all that a hot path can afford. `…Total` only grow. */
export interface RpcCounters {
  sessions: number;
  sessionsTotal: number;
  framesReceivedTotal: number;
  framesSentTotal: number;
  bytesReceivedTotal: number;
  bytesSentTotal: number;
  /** Calls that were submitted to a machine, posted ones too. */
  callsTotal: number;
  /** Calls that were answered with an error. */
  errorsTotal: number;
  /** Events that a slow receiver was not sent. */
  eventsLostTotal: number;
  peerTimeoutsTotal: number;
  /** Wrong answers. */
  peerMistakesTotal: number;
  /** Reset windows that were opened. */
  resetsTotal: number;
  /** Requests that an IOMMU refused. */
  faultsTotal: number;
  crashesTotal: number;
}

/** All zero. One object may serve many hosts. */
export function rpcCounters(): RpcCounters {
  return {
    sessions: 0,
    sessionsTotal: 0,
    framesReceivedTotal: 0,
    framesSentTotal: 0,
    bytesReceivedTotal: 0,
    bytesSentTotal: 0,
    callsTotal: 0,
    errorsTotal: 0,
    eventsLostTotal: 0,
    peerTimeoutsTotal: 0,
    peerMistakesTotal: 0,
    resetsTotal: 0,
    faultsTotal: 0,
    crashesTotal: 0,
  };
}

/** One line for the log of the process. */
export interface RpcLogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly text: string;
  readonly machine: string;
  /** Number of the session in its host; absent: about the machine. */
  readonly session?: number;
  readonly error?: unknown;
}
export type RpcLog = (line: RpcLogLine) => void;
