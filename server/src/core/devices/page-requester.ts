import { PAGE_GROUPS, type Pasid, type StateFields } from '../base/index.ts';

/** A Page Request Group that the function has begun and that has had no response. */
interface RequestedGroup {
  /** No two groups of a function's life share it. */
  readonly serial: number;
  readonly pasid: Pasid;
  /** Page requests of it: credits that the response gives back. */
  requests: number;
  /** Its last request has been sent. */
  whole: boolean;
  /** A Stop Marker went after it: the response gives back credits and is otherwise ignored. */
  stale: boolean;
  /** Whom the answer is for; 0 for nobody. */
  waiter: number;
}

/** Where a group that goes on, or begins, stands: its index and serial. */
export interface GroupPlace {
  readonly group: number;
  readonly serial: number;
}

/**
 * The function's side of the Page Request Interface (PCIe §10.4): its groups, and what it has outstanding, of which Outstanding Page Request
 * Allocation is the most. Response and reset are the only ways back.
 */
export class PageRequester {
  readonly #groups = new Map<number, RequestedGroup>();
  #lastSerial = 0;
  #outstanding = 0;

  /** Page requests that have had no response. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** `free`: no such group. `begun`: it has no last request yet, and goes on only with its PASID. `whole`: it waits for its response. */
  stateOf(group: number, pasid: Pasid): 'free' | 'begun' | 'other-pasid' | 'whole' {
    const known = this.#groups.get(group);
    if (known === undefined) return 'free';
    if (known.whole) return 'whole';
    return known.pasid === pasid ? 'begun' : 'other-pasid';
  }

  /** The lowest index without a group; -1 where all are in use. */
  freeGroup(): number {
    for (let group = 0; group < PAGE_GROUPS; group++) if (!this.#groups.has(group)) return group;
    return -1;
  }

  /** Notes that `requests` of a group that is free or begun are sent, the last of it among them where `last`. */
  send(group: number, pasid: Pasid, requests: number, last: boolean, waiter: number): GroupPlace {
    let known = this.#groups.get(group);
    if (known === undefined) {
      known = { serial: ++this.#lastSerial, pasid, requests: 0, whole: false, stale: false, waiter: 0 };
      this.#groups.set(group, known);
    }
    known.requests += requests;
    known.whole = last;
    known.waiter = waiter;
    this.#outstanding += requests;
    return { group, serial: known.serial };
  }

  /** A PRG Response: whom it is for (0: nobody, or stale), or undefined where it is for no group that this function knows. */
  respond(group: number, serial: number): number | undefined {
    const known = this.#groups.get(group);
    if (known?.serial !== serial) return undefined;
    this.#groups.delete(group);
    this.#outstanding -= known.requests;
    return known.stale ? 0 : known.waiter;
  }

  /** True where a group of the PASID has no last request yet: a Stop Marker must wait for it (PCIe §10.4.1.2). */
  hasBegun(pasid: Pasid): boolean {
    return [...this.#groups.values()].some((group) => group.pasid === pasid && !group.whole);
  }

  /** A Stop Marker is sent: groups of the PASID are stale. Returns whom they were for. */
  stop(pasid: Pasid): readonly number[] {
    const waiters: number[] = [];
    for (const group of this.#groups.values()) {
      if (group.pasid !== pasid || group.stale) continue;
      group.stale = true;
      waiters.push(group.waiter);
    }
    return waiters;
  }

  state(fields: StateFields): void {
    fields.keep('groups', this.#groups);
    this.#lastSerial = fields.field('lastSerial', this.#lastSerial);
    this.#outstanding = fields.field('outstanding', this.#outstanding);
  }

  /** Forgets everything. Returns whom it was for. */
  reset(): readonly number[] {
    const waiters = [...this.#groups.values()].filter((group) => !group.stale).map((group) => group.waiter);
    this.#groups.clear();
    this.#outstanding = 0;
    return waiters;
  }
}
