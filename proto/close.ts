/** Why a connection was closed: websocket close codes (RFC 6455 §7.4.1), each with the one meaning it has here. */
export const CLOSE = {
  /** The one who closes is done. */
  normal: 1000,
  /** The service stops, or the machine was deleted. */
  goingAway: 1001,
  /** Out of order: no Hello first, an id in use again, a reply to nothing. */
  order: 1002,
  /** A text message. */
  text: 1003,
  /** Bytes that are no packet. */
  undecodable: 1007,
  /** Past a limit: credits, counts, no Hello in time, a Hello that was refused. */
  limits: 1008,
  /** A message, frame or body that is too large. */
  size: 1009,
  /** The machine crashed on a bug of the server. */
  crashed: 1011,
  /** Does not read what it is sent, or there are too many connections: try again later. */
  slow: 1013,
} as const;
export type CloseCode = (typeof CLOSE)[keyof typeof CLOSE];
