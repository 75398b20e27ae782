/** The example has its tables from docs/dma-probe.md, and the server's model has made that page: they drift apart only together with this test. */
import { expect, it } from 'vitest';
import type { Register, RegisterTable } from '../../../../../client/examples/dma-probe/register-file.ts';
import * as example from '../../../../../client/examples/dma-probe/registers.ts';
import { OUTCOMES } from '../../../../../server/src/core/base/index.ts';
import * as server from '../../../../../server/src/core/devices/dma-probe/registers.ts';
import type { BarRegister, BarRegisterTable } from '../../../../../server/src/core/devices/register-map.ts';

const U32 = 0xffff_ffffn;

/** The same words of both: all bits of the upper half may be written, and after a reset it is 0. */
function words(table: RegisterTable | BarRegisterTable): object {
  return Object.fromEntries(
    Object.entries<Register | BarRegister>(table).map(([name, { offset, bytes, access, reset = 0, writable }]) => [
      name,
      { offset, bytes, access, reset: BigInt(reset), writable: (writable === undefined ? U32 : BigInt(writable)) & U32 },
    ]),
  );
}

const offsets = (parts: Readonly<Record<string, { readonly offset: number }>>): object =>
  Object.fromEntries(Object.entries(parts).map(([name, { offset }]) => [name, offset]));

it('has the registers that the server has', () => {
  expect(words(example.REGISTERS)).toEqual(words(server.PROBE_REGISTERS));
  expect(words(example.QUEUE_REGISTERS)).toEqual(words(server.QUEUE_REGISTERS));
  expect(example.QUEUE_BLOCK).toEqual(server.QUEUE_BLOCK);
  expect(example.QUEUES).toBe(server.PROBE_QUEUES);
});

it('has its descriptors and what they say', () => {
  expect(example.DESCRIPTOR).toEqual(offsets(server.DESCRIPTOR));
  expect(example.SEGMENT).toEqual(offsets(server.SEGMENT));
  expect(Object.fromEntries(example.ERRORS.map((name, value) => [name, value]))).toEqual(
    Object.fromEntries(Object.entries(server.PROBE_ERRORS).map(([name, { value }]) => [name, value])),
  );
  expect(example.OUTCOMES).toEqual(OUTCOMES);
  expect(example.FLAG).toEqual(Object.fromEntries(Object.entries(server.FLAG).map(([name, { bit }]) => [name, bit])));
  expect(example.PATTERN).toEqual(Object.fromEntries(Object.entries(server.PATTERNS).map(([name, { value }]) => [name, value])));
  expect([example.OPERATION, example.COMMAND, example.STATE]).toEqual([server.PROBE_OPERATION, server.QUEUE_COMMAND, server.QUEUE_STATE]);
});

it('has its bounds', () => {
  const { RING_ENTRIES_MAX, TRANSFER_BYTES_MAX, SEGMENTS_MAX, DESCRIPTOR_BYTES, SEGMENT_BYTES, STATUS_OFFSET, VALID } = server;
  expect(example).toMatchObject({
    RING_ENTRIES_MAX,
    TRANSFER_BYTES_MAX,
    SEGMENTS_MAX,
    DESCRIPTOR_BYTES,
    SEGMENT_BYTES,
    STATUS_OFFSET,
    VALID,
  });
});
