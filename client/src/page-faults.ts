/** I/O page faults as a host meets them, and the page requests that functions make. */
import type { Calls, iommud } from '../../proto/index.ts';
import { ask, type CallOptions } from './ask.ts';
import { bdfText } from './bdf.ts';
import type { Channel } from './channel.ts';
import { PAGE_ANSWER, accessBits, accessText, type Access, type PageAnswer } from './names.ts';
import { bigintOf, msOfNs, numberOf, u32, u64 } from './numbers.ts';
import { shown } from './shown.ts';
import { waited, type Waited } from './waited.ts';

/** Pages that follow each other and are wanted alike. */
export interface PageRange {
  readonly iova: bigint;
  readonly pages: number;
  /** `r`, `w`, `x` or several of them. */
  readonly access: string;
  /** Privileged Mode Requested. */
  readonly privileged: boolean;
}

/** A group of page requests that is complete and waits for its one answer. */
export class PageFault {
  /** Counts from 1 in this machine. */
  readonly number: number;
  /** On the machine's clock. */
  readonly timeNs: number;
  /** `00:02.0`. */
  readonly function: string;
  readonly pasid: number | undefined;
  /** Page Request Group index. */
  readonly group: number;
  /** The number of the domain in which it is to be mended. */
  readonly domain: number;
  /** In the order in which they were requested. */
  readonly ranges: readonly PageRange[];
  readonly #channel: Channel;

  constructor(channel: Channel, fault: iommud.v1.PageFault) {
    this.#channel = channel;
    this.number = fault.number;
    this.timeNs = numberOf(fault.timeNs);
    this.function = bdfText(fault.function);
    this.pasid = fault.pasid ?? undefined;
    this.group = fault.group;
    this.domain = fault.domain;
    this.ranges = fault.ranges.map(rangeOf);
  }

  /**
   * `success`: the function asks for its translations again, so map first. `invalid`: it does not. `failure`: its Page Request Interface is
   * disabled. Errors: EINVAL (it is answered already, by a host or because its domain or function went).
   */
  async respond(answer: 'success' | 'invalid' | 'failure', options?: CallOptions): Promise<Waited> {
    const request = { fault: this.number, answer: PAGE_ANSWER.numberOf(answer, 'answer') };
    return waited((await ask(this.#channel, 'pageResponse', request, options)).body.elapsedNs);
  }
}

function rangeOf(range: iommud.v1.PageRange): PageRange {
  return shown({ iova: bigintOf(range.iova), pages: range.pages, access: accessText(range.access), privileged: range.privileged });
}

export interface PageRequestOptions extends CallOptions {
  /** 1 to 512; absent: 1. */
  readonly pages?: number;
  /** Absent: `r`. */
  readonly access?: Access;
  /** 20 bits. */
  readonly pasid?: number;
  /** Only with a PASID. */
  readonly privileged?: boolean;
  /** Page Request Group index, 0 to 511: goes on with this group, or begins it. Absent: a free one. */
  readonly group?: number;
  /** False: more requests of the group follow, and this gets no answer of its own. */
  readonly last?: boolean;
}

/** What became of page requests. */
export interface PageRequestResult {
  readonly answer: PageAnswer;
  readonly group: number;
  /** How far the machine's clock moved meanwhile; undefined when it did not. */
  readonly elapsedMs: number | undefined;
}

/** The request of either call that makes a function send page requests. */
export function pageRequest(fn: number, iova: bigint | number, options: PageRequestOptions | undefined): Calls['pageRequest']['request'] {
  return {
    function: fn,
    iova: u64(iova, 'iova'),
    pages: options?.pages === undefined ? null : u32(options.pages, 'pages'),
    access: options?.access === undefined ? null : accessBits(options.access, 'access'),
    pasid: options?.pasid === undefined ? null : u32(options.pasid, 'pasid'),
    privileged: options?.privileged ?? null,
    group: options?.group === undefined ? null : u32(options.group, 'group'),
    last: options?.last ?? null,
  };
}

/** A Stop Marker of the PASID. */
export function stopMarker(fn: number, pasid: number): Calls['pageRequest']['request'] {
  return { function: fn, pasid: u32(pasid, 'pasid'), stopMarker: true };
}

export function pageRequestResult({ answer, group, elapsedNs }: Calls['pageRequest']['reply']): PageRequestResult {
  const ns = numberOf(elapsedNs);
  return shown({ answer: PAGE_ANSWER.nameOf(answer), group, elapsedMs: ns === 0 ? undefined : msOfNs(ns) });
}
