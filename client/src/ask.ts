import type { CallName, Calls } from '../../proto/index.ts';
import type { Answer, Channel } from './channel.ts';
import { IommudError } from './errors.ts';

/** Taken by everything that waits. */
export interface CallOptions {
  /** Gives the call up: it fails with ECANCELED at once; the server is told, and what the call did is unknown. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes a call and throws its failure. The error is made here, in an async function that the caller awaits, so that its stack names the
 * caller and a call that succeeds pays nothing for it.
 */
export async function ask<K extends CallName>(
  channel: Channel,
  name: K,
  request: Calls[K]['request'],
  options?: CallOptions,
  data?: Uint8Array,
): Promise<Answer<K>> {
  const answer = await channel.request(name, request, data, options?.signal);
  if (answer.failed) throw new IommudError(answer);
  return answer;
}
