import type { CloseCode } from './close.ts';

/** What was received, or is about to be sent, breaks the framing: the connection is closed with `closeCode`. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly closeCode: CloseCode;

  constructor(closeCode: CloseCode, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}
