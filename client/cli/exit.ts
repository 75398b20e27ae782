/** How the command ends: what a script can tell from the number. */
export const EXIT = {
  good: 0,
  /** A check or a verdict failed, or the service could not start. */
  failed: 1,
  usage: 2,
  noService: 3,
  refused: 4,
} as const;

/** Ends the command with this code and one sentence on stderr. */
export class Exit extends Error {
  override readonly name = 'Exit';
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
