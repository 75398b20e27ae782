import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { loadContract } from '../../proto/contract-lock.mjs';
import { BODY, FrameError, KIND, PacketReader, PacketWriter, type BodyName, type FrameKind } from '../../proto/index.ts';

/** What a frame says, as a test writes it down. */
interface Said {
  readonly id: number;
  readonly kind: FrameKind;
  readonly number: number;
  readonly body: Record<string, unknown>;
  readonly data: Uint8Array | undefined;
}

const root = loadContract('proto');
const Packet = root.lookupType('iommud.v1.Packet');
const Frame = root.lookupType('iommud.v1.Frame');

const u64 = fc.record({ low: fc.integer(), high: fc.integer() });

/** A value that the wire carries for one field of the contract, drawn by the field's own type. */
function valueOf(field: protobuf.Field): fc.Arbitrary<unknown> {
  const type = field.resolvedType;
  if (type instanceof protobuf.Enum) return fc.constantFrom(...Object.values(type.values));
  if (type instanceof protobuf.Type) return messageOf(type);
  switch (field.type) {
    case 'bool':
      return fc.boolean();
    case 'string':
      return fc.string({ unit: 'binary', maxLength: 200 });
    case 'fixed64':
    case 'sfixed64':
      return u64;
    case 'uint32':
    case 'fixed32':
      return fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 0xffff_ffff }));
    default:
      throw new Error(`the contract has a field of type ${field.type}, which this test does not draw`);
  }
}

function messageOf(type: protobuf.Type): fc.Arbitrary<Record<string, unknown>> {
  const fields = type.fieldsArray.map((field) => {
    field.resolve();
    const one = valueOf(field);
    return [camel(field.name), field.repeated ? fc.array(one, { maxLength: 3 }) : one] as const;
  });
  return fc.record(Object.fromEntries(fields), { requiredKeys: [] });
}

function camel(name: string): string {
  return name.replace(/_(\w)/g, (_all, letter: string) => letter.toUpperCase());
}

const bodyFields = Frame.oneofs['body']?.fieldsArray ?? [];
/** Longer than a short packet, and than a length of two bytes says. */
const LONG = new Uint8Array(70_000).fill(7);
const frames: fc.Arbitrary<Said> = fc.constantFrom(...bodyFields).chain((field) => {
  field.resolve();
  return fc.record({
    id: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 0xffff_ffff })),
    kind: fc.constantFrom<FrameKind>(KIND.call, KIND.reply, KIND.event),
    number: fc.constant(field.id),
    body: messageOf(field.resolvedType as protobuf.Type),
    data: fc.option(fc.oneof({ weight: 19, arbitrary: fc.uint8Array({ maxLength: 300 }) }, { weight: 1, arbitrary: fc.constant(LONG) }), {
      nil: undefined,
    }),
  });
});

function write(said: readonly Said[]): Uint8Array[] {
  const packets: Uint8Array[] = [];
  const writer = new PacketWriter((packet) => packets.push(packet));
  for (const frame of said) writer.add(frame.id, frame.kind, frame.number, frame.body, frame.data);
  writer.flush();
  return packets;
}

/** A message as text in which absent and default are the same, and 64-bit values are exact. */
function plain(message: object, type: protobuf.Type): unknown {
  const bytes = type.encode(type.fromObject(message)).finish();
  return type.toObject(type.decode(bytes), { longs: String, bytes: String });
}

describe('frames', () => {
  it('say the same to an ordinary protobuf library', () => {
    fc.assert(
      fc.property(fc.array(frames, { minLength: 1, maxLength: 12 }), (said) => {
        const heard = write(said).flatMap((bytes) => Packet.decode(bytes).toJSON()['frame'] as Record<string, unknown>[]);
        const expected = said.map((frame) => {
          const field = bodyFields.find((candidate) => candidate.id === frame.number);
          const object = {
            kind: frame.kind,
            ...(frame.id === 0 ? {} : { id: frame.id }),
            ...(frame.data === undefined ? {} : { data: frame.data }),
            [field?.name ?? '']: keepCase(frame.body, field?.resolvedType as protobuf.Type),
          };
          return Frame.fromObject(object).toJSON();
        });
        expect(heard).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  it('come back as they were written, however an ordinary library orders and packs them', () => {
    fc.assert(
      fc.property(fc.array(frames, { minLength: 1, maxLength: 12 }), (said) => {
        for (const packets of [write(said), said.map(asLibrary)]) {
          const heard: unknown[] = [];
          for (const packet of packets) {
            const reader = new PacketReader(packet);
            while (reader.next()) {
              heard.push([reader.id, reader.kind, reader.number, plainBody(reader.number, reader.body ?? {}), base64(reader.data)]);
            }
          }
          const expected = said.map((frame) => [
            frame.id,
            frame.kind,
            frame.number,
            plainBody(frame.number, frame.body),
            base64(frame.data),
          ]);
          expect(heard).toEqual(expected);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('cut at any byte or changed in any byte are read or give FrameError, never anything else', () => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 });
    fc.assert(
      fc.property(fc.array(frames, { minLength: 1, maxLength: 3 }), fc.nat(), edits, (said, cut, changes) => {
        for (const packet of write(said)) {
          const bytes = packet.slice(0, packet.length - (cut % (packet.length + 1)));
          for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
          expectReadOrFrameError(bytes);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('of garbage are read or give FrameError, never anything else', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), expectReadOrFrameError), { numRuns: 2000 });
  });
});

function keepCase(body: Record<string, unknown>, type: protobuf.Type): Record<string, unknown> {
  const entries = type.fieldsArray.flatMap((field) => {
    const value = body[camel(field.name)];
    if (value === undefined || value === null) return [];
    const inner = field.resolvedType;
    const convert = (one: unknown): unknown => (inner instanceof protobuf.Type ? keepCase(one as Record<string, unknown>, inner) : one);
    return [[field.name, Array.isArray(value) ? value.map(convert) : convert(value)]];
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
}

function asLibrary(frame: Said): Uint8Array {
  const field = bodyFields.find((candidate) => candidate.id === frame.number);
  const body = keepCase(frame.body, field?.resolvedType as protobuf.Type);
  const data = frame.data === undefined ? {} : { data: frame.data };
  return Packet.encode(Packet.fromObject({ frame: [{ id: frame.id, kind: frame.kind, ...data, [field?.name ?? '']: body }] })).finish();
}

function base64(data: Uint8Array | undefined): string | undefined {
  return data === undefined ? undefined : Buffer.from(data).toString('base64');
}

function plainBody(number: number, body: object): unknown {
  const type = bodyFields.find((candidate) => candidate.id === number)?.resolvedType as protobuf.Type;
  return plain(keepCase(body as Record<string, unknown>, type), type);
}

function expectReadOrFrameError(bytes: Uint8Array): void {
  try {
    const reader = new PacketReader(bytes);
    while (reader.next());
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    expect([1007, 1008, 1009]).toContain(error.closeCode);
  }
}

it('every body of frame.proto has its generated code', () => {
  const names = Object.keys(BODY) as BodyName[];
  expect(names.map((name) => BODY[name])).toEqual(bodyFields.map((field) => field.id).toSorted((a, b) => a - b));
});
