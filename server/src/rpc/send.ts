import type { iommud } from '../../../proto/index.ts';

/** Each message of the contract, as something to send. */
export type Send<Name extends keyof typeof iommud.v1> = (typeof iommud.v1)[Name] extends {
  encode(message: infer M, ...rest: never[]): unknown;
}
  ? M
  : never;
