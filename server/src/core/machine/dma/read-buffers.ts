/** Where the bytes that a DMA reads are put. Their contents are undefined until the machine has written every one of them. */
export interface ReadBuffers {
  take(bytes: number): Uint8Array;
}

/** A new one each time: whoever gets a reply keeps its bytes. */
export const NEW_BUFFERS: ReadBuffers = { take: (bytes) => new Uint8Array(bytes) };
