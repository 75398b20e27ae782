/** What sessions do, as records: made in the same way when it is recorded and when it is replayed. */
import { BODY, KIND, type FrameKind, type PacketReader, type iommud } from '../../../../proto/index.ts';
import { HELLO_TOKEN_CHARS_MAX } from '../../../../proto/limits.ts';
import type { RoleName } from '../enums.ts';
import type { SessionRecord } from '../session-host.ts';
import type { Session } from '../session.ts';
import { encodeBody, type RecordedFrame, type What } from './record.ts';
import type { Recorder, SessionOf } from './recorder.ts';

/** What stands in a recorded Hello in the place of its token. */
const STRUCK_OUT = '(not recorded)';

/** Gets each, and whether it is an input. `allowed`: of a Hello. */
export type SessionSink = (of: SessionOf, what: What, isInput: boolean, allowed?: readonly RoleName[]) => void;

/** A session's records, for a sink. `wanted`: false while nobody records. */
export function sessionRecords(sink: SessionSink, wanted: () => boolean): SessionRecord {
  return {
    heard: (session, frame, allowed) => {
      if (wanted()) sink(ofSession(session), { kind: 'session-received', frame: heardFrame(frame) }, true, allowed);
    },
    told: (session, id, kind, number, body) => {
      if (wanted()) sink(ofSession(session), { kind: 'session-sent', frame: toldFrame(id, kind, number, body) }, false);
    },
    asked: (session, token, id) => {
      if (wanted()) sink(ofSession(session), { kind: 'asked', token, id }, false);
    },
    closing: (session, code, reason, by) => {
      if (wanted()) sink(ofSession(session), { kind: 'closed', code, reason, by }, by !== 'rule');
    },
    keepalive: (session, keepalive) => {
      if (wanted()) sink(ofSession(session), { kind: 'keepalive', keepalive }, false);
    },
  };
}

/** To {@link sessionRecords}, of one recorder. */
export function sessionRecordTo(recorder: Recorder, of: SessionOf, what: What, isInput: boolean, allowed?: readonly RoleName[]): void {
  if (isInput) recorder.session(of, what, allowed);
  else recorder.sessionOutput(of, what);
}

export function ofSession({ connection, peer }: Session): SessionOf {
  return { connection, peer: peer === 0 ? undefined : peer };
}

function toldFrame(id: number, kind: FrameKind, number: number, body: object): RecordedFrame {
  return { id, kind, number, body: encodeBody(number, body), data: undefined };
}

/** A token is nobody's business. */
function heardFrame(frame: PacketReader): RecordedFrame {
  const { id, kind, number, data } = frame;
  const isHello = kind === KIND.call && number === BODY.hello && frame.body !== undefined;
  return {
    id,
    kind,
    number,
    body: isHello ? struckOut(frame.body as iommud.v1.Hello.$Properties) : frame.rawBody(),
    data: isHello ? undefined : data,
  };
}

/** One that is too long stays so: that is what it was refused for. What is in no contract goes too. */
function struckOut(hello: iommud.v1.Hello.$Properties): Uint8Array {
  const { token } = hello;
  if (token === undefined || token === null) return encodeBody(BODY.hello, hello);
  const shown = token.length > HELLO_TOKEN_CHARS_MAX ? '*'.repeat(token.length) : STRUCK_OUT;
  return encodeBody(BODY.hello, { ...hello, token: shown });
}
