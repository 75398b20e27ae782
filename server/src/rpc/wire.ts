/** What moves a session's bytes: the transports have this shape. */
export interface Wire {
  start(owner: WireOwner): void;
  /**
   * `written` is called when the message has left this end's buffer, in the order of sending, or never will: its bytes are the sender's again.
   */
  send(bytes: Uint8Array, written?: () => void): void;
  readonly bufferedBytes: number;
  /** Runs it when what arrived together has been handled. Absent where each message arrives by itself. */
  atTickEnd?(run: () => void): void;
  close(code: number, reason: string): void;
}

export interface WireOwner {
  message(bytes: Uint8Array): void;
  closed(code: number, reason: string): void;
  /** The connection was idle, and was found alive. */
  keepalive?(what: 'ping-sent' | 'pong-received' | 'ping-received'): void;
}
