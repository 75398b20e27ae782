import { BODY, KIND, type PacketReader } from '../../../proto/index.ts';

/** Where a connection is in its life, and what each kind of frame means there. */
export type SessionState = 'awaiting-hello' | 'open' | 'draining' | 'closed';

/** What can arrive; Hello is told apart from other calls. */
export type Arrival = 'hello' | 'call' | 'reply' | 'event' | 'cancel';

/**
 * `greet`: answer Hello. `serve`: do the call. `refuse`: answer ESHUTDOWN. `settle`: an answer to a call of the server. `ignore`: nothing.
 * `break`: close with 1002.
 */
export type Meaning = 'greet' | 'serve' | 'refuse' | 'settle' | 'ignore' | 'break';

export const MEANINGS: Readonly<Record<SessionState, Readonly<Record<Arrival, Meaning>>>> = {
  'awaiting-hello': { hello: 'greet', call: 'break', reply: 'break', event: 'break', cancel: 'break' },
  open: { hello: 'break', call: 'serve', reply: 'settle', event: 'ignore', cancel: 'ignore' },
  // What is in flight still needs its owners' and devices' answers.
  draining: { hello: 'break', call: 'refuse', reply: 'settle', event: 'ignore', cancel: 'ignore' },
  closed: { hello: 'ignore', call: 'ignore', reply: 'ignore', event: 'ignore', cancel: 'ignore' },
};

export function arrival(frame: PacketReader): Arrival {
  switch (frame.kind) {
    case KIND.call:
      return frame.number === BODY.hello ? 'hello' : 'call';
    case KIND.reply:
      return 'reply';
    case KIND.event:
      return 'event';
    case KIND.cancel:
      return 'cancel';
  }
}
