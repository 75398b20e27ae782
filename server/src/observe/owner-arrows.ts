/** Which request of a function a call to an owner of memory is for: by the owner and the physical page, oldest first. */
export class OwnerArrows {
  /** Ids of requests whose call has not been seen. */
  readonly #waiting = new Map<string, number[]>();
  #last = 0;

  /** A request is sent to its owner; the id of the arrow that begins there. */
  add(owner: number, page: number): number {
    const id = ++this.#last;
    const key = `${owner} ${page}`;
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) this.#waiting.set(key, [id]);
    else waiting.push(id);
    return id;
  }

  /** A call goes to the owner; undefined: it is for no request, such as one for an entry of page tables. */
  take(owner: number, page: number): number | undefined {
    const key = `${owner} ${page}`;
    const waiting = this.#waiting.get(key);
    const id = waiting?.shift();
    if (waiting?.length === 0) this.#waiting.delete(key);
    return id;
  }
}
