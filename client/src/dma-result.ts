import type { iommud } from '../../proto/index.ts';
import { OUTCOME, accessText, type Outcome } from './names.ts';
import { bigintOf, msOfNs, numberOf } from './numbers.ts';
import { shown } from './shown.ts';

/** What a translation request was granted: the range that one translation has. In the first is the page that was asked for. */
export interface Grant {
  /** Physical, of the first byte of the range. */
  readonly address: bigint;
  /** Size of the range, a power of two: the IOVA of the first one's first byte is the one asked for, with the bits below the size cleared. */
  readonly bytes: bigint;
  /** `r`, `rw`, …; empty for none. */
  readonly access: string;
  /** The address is not to be used: only untranslated requests may go to the range. Absent: false. */
  readonly untranslatedOnly?: boolean;
  /** The rights are those of privileged mode. Absent: false. */
  readonly privileged?: boolean;
  /** It may serve every PASID of the function. Absent: false. */
  readonly global?: boolean;
  /** Requests that use it have to be snooped (N). Absent: false, the function decides. */
  readonly snooped?: boolean;
}

/** How an operation ended. What a model's own posted write became comes from the trace: a real function does not learn it. */
export interface DmaResult {
  /** Of the first request that was not performed; `performed` when all were. */
  readonly outcome: Outcome;
  /** Requests on the bus that the operation was split into. */
  readonly requests: number;
  /** Bytes that took effect, from the start without a gap. */
  readonly bytes: number;
  /** What a read or an atomic got. */
  readonly data: Uint8Array | undefined;
  /** The first address that did not take effect; undefined when all did. */
  readonly failedIova: bigint | undefined;
  /** What did not take effect met memory of this peer, by its number in the machine's status, which is not there any more. */
  readonly absentOwner: number | undefined;
  /** Of a translation request: the first of `grants`. */
  readonly grant: Grant | undefined;
  /** Of a translation request: what it was granted, of consecutive ranges of one size in rising order; perhaps less than was asked for. */
  readonly grants: readonly Grant[] | undefined;
  /** How far the machine's clock moved meanwhile; undefined when it did not. */
  readonly elapsedMs: number | undefined;
}

export function dmaResult(result: iommud.v1.DmaResult, data: Uint8Array | undefined): DmaResult {
  const elapsedNs = numberOf(result.elapsedNs);
  const { grant }: { grant: iommud.v1.Grant | null } = result;
  return shown({
    outcome: OUTCOME.nameOf(result.outcome),
    requests: result.requests,
    bytes: result.bytesDone,
    data,
    failedIova: result.failedIova ? bigintOf(result.failedIova) : undefined,
    absentOwner: result.absentOwner ?? undefined,
    grant: grant ? grantOf(grant) : undefined,
    grants: grant ? (result.grants.length === 0 ? [grant] : result.grants).map(grantOf) : undefined,
    elapsedMs: elapsedNs === 0 ? undefined : msOfNs(elapsedNs),
  });
}

function grantOf({ address, bytes, access, untranslatedOnly, privileged, global, snooped }: iommud.v1.Grant): Grant {
  return {
    address: bigintOf(address),
    bytes: bigintOf(bytes),
    access: accessText(access),
    ...(untranslatedOnly ? { untranslatedOnly } : {}),
    ...(privileged ? { privileged } : {}),
    ...(global ? { global } : {}),
    ...(snooped ? { snooped } : {}),
  };
}
