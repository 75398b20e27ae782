import { u64FromNumber, type iommud } from '../../../proto/index.ts';
import { ERROR_ABOUT_CHARS_MAX, ERROR_MESSAGE_CHARS_MAX } from '../../../proto/limits.ts';
import { ERRORS, ModelError, errorName, type ErrorName } from '../core/base/index.ts';

type Must<T extends true> = T;
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

type ProtoCodes = typeof iommud.v1.ErrorCode;
type ProtoTable = {
  [K in keyof ProtoCodes as K extends `ERROR_CODE_${infer Name}` ? (Name extends 'UNSPECIFIED' ? never : Name) : never]: `${ProtoCodes[K]}`;
};
type CoreTable = { [K in ErrorName]: `${(typeof ERRORS)[K]['wire']}` };

/** Does not compile unless core's table and the proto enum have the same names with the same numbers. */
export type CodesAreOneTable = Must<Same<CoreTable, ProtoTable>>;

/** The body of an error reply. The texts are cut to what the contract promises. */
export function errorBody(code: ErrorName, message: string, about = '', elapsedNs = 0): iommud.v1.Error.$Properties {
  return {
    code: ERRORS[code].wire,
    name: code,
    message: message.slice(0, ERROR_MESSAGE_CHARS_MAX),
    about: about.slice(0, ERROR_ABOUT_CHARS_MAX),
    elapsedNs: u64FromNumber(elapsedNs),
  };
}

/** The code of an error reply; `EIO` for a number that is not in the table. */
export function codeOf(error: iommud.v1.Error): ErrorName {
  return errorName(error.code);
}

/** A needed field that is not there. */
export function missing(field: string): ModelError {
  return new ModelError('EINVAL', `${field} is missing`, field);
}

/** A field with a value that it cannot have; `why` follows its name: `is beyond 64`. */
export function invalid(field: string, why: string): ModelError {
  return new ModelError('EINVAL', `${field} ${why}`, field);
}
