/** What a transport tells its owner. */
export interface TransportOwner {
  /** One binary message. Nobody changes these bytes any more. */
  message(bytes: Uint8Array): void;
  /** The connection is gone, for whatever reason. The last call, made exactly once. */
  closed(code: number, reason: string): void;
  /** The connection was idle, and was found alive. */
  keepalive?(what: 'ping-sent' | 'pong-received' | 'ping-received'): void;
}

/** A connection that moves whole messages of bytes, in order. */
export interface Transport {
  /** Starts delivering; what has arrived before is delivered first. Called once. */
  start(owner: TransportOwner): void;
  /**
   * Sends one message; its bytes may not be changed until `written` is called: when it has left this end's buffer, or never will. After a
   * close it does nothing else.
   */
  send(bytes: Uint8Array, written?: () => void): void;
  /** Bytes handed to {@link send} that are still in this end's buffer, envelopes included. */
  readonly bufferedBytes: number;
  /** Runs it when what arrived together has been handled: what is sent then leaves in one write. Absent where each message arrives by itself. */
  atTickEnd?(run: () => void): void;
  /** Ends the connection after what was sent. `reason` is cut to what a close frame holds. `closed` is called when it has ended. */
  close(code: number, reason: string): void;
}
