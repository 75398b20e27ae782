/** Bodies of the routes that show what a machine is in, and what drives it besides resets. */
import { Type, type Static } from 'typebox';
import { FAULT_KINDS, MEMORY_ERRORS } from '../core/machine/index.ts';
import { Domain, FunctionAddress, closed, hex, orNull } from './schemas.ts';

const GroupState = Type.Object({
  group: Type.Integer(),
  members: Type.Array(FunctionAddress),
  domain: orNull(Domain),
  defaultDomain: orNull(Domain),
  defaultType: orNull(Type.String({ description: 'As sysfs `type` has it' })),
  recoveryCount: Type.Integer({ description: 'Members in a reset window' }),
  owned: Type.Boolean({ description: 'Claimed, as by VFIO or iommufd' }),
  busy: Type.Boolean({ description: 'A call has its mutex' }),
  waiting: Type.Integer({ description: 'Calls that wait for it' }),
});
export const GroupList = Type.Object({ groups: Type.Array(GroupState) });
export type GroupList = Static<typeof GroupList>;

export const DomainList = Type.Object({
  domains: Type.Array(
    Type.Object({
      id: Type.Integer(),
      type: Type.String({ description: 'paging, identity or blocked' }),
      sharedAddress: Type.Boolean(),
      format: orNull(Type.String({ description: 'Of its page tables' })),
      parent: orNull(Type.Integer({ description: 'Of a nested domain: its second stage' })),
      functions: Type.Array(FunctionAddress, { description: 'Whose group has it' }),
      pasids: Type.Array(Type.Object({ function: FunctionAddress, pasid: Type.Integer() })),
    }),
  ),
});
export type DomainList = Static<typeof DomainList>;

export const Ledger = Type.Object({
  entries: Type.Array(
    Type.Object({
      request: Type.Integer(),
      operation: Type.String(),
      point: Type.String({ description: 'issued, translated, performed, sent to the owner of its memory, or indeterminate' }),
      held: Type.Boolean(),
      iova: hex('I/O virtual address'),
      address: orNull(hex('Physical address')),
      bytes: Type.Integer(),
      sinceNs: Type.Integer(),
      epoch: Type.Integer(),
      waitsFor: Type.String(),
    }),
    { description: 'In issue order' },
  ),
});
export type Ledger = Static<typeof Ledger>;

const Point = Type.Enum(['issued', 'translated', 'performed']);
export const ArmFault = Type.Object(
  {
    fault: Type.Enum([...FAULT_KINDS]),
    function: Type.Optional(FunctionAddress),
    first: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 0xffff_ffff, description: 'The first occurrence that it acts on. Default 1' }),
    ),
    count: Type.Optional(Type.Integer({ minimum: 0, maximum: 0xffff_ffff, description: 'On how many; 0 without end. Default 1' })),
    point: Type.Optional(Point),
    delayMs: Type.Optional(Type.Number({ minimum: 0, maximum: 1e9 })),
    fromMs: Type.Optional(Type.Number({ minimum: 0, maximum: 1e9, description: "In force from then on the machine's clock" })),
    untilMs: Type.Optional(Type.Number({ minimum: 0, maximum: 1e9 })),
    address: Type.Optional(Type.String({ pattern: '^0x[0-9a-fA-F]{1,16}$', description: 'Of a fault of memory: physical' })),
    bytes: Type.Optional(Type.Integer({ minimum: 1 })),
    error: Type.Optional(Type.Enum([...MEMORY_ERRORS])),
  },
  closed,
);
export const Armed = Type.Object({ armed: Type.Integer({ description: 'Its number, by which it is disarmed' }) });
export type Armed = Static<typeof Armed>;
export const ArmedParams = Type.Object({ id: Type.String(), armed: Type.String({ pattern: '^\\d{1,9}$' }) });

export const ClockState = Type.Object({ nowNs: Type.Integer({ description: 'Since the machine was made' }), movedNs: Type.Integer() });
export type ClockState = Static<typeof ClockState>;
export const AdvanceClock = Type.Object(
  {
    ms: Type.Number({ minimum: 0, maximum: 1e10 }),
    force: Type.Optional(Type.Boolean({ description: 'Does not wait for peers that owe an answer or hold the clock. Default false' })),
  },
  closed,
);

export const Status = Type.Object({
  nowNs: Type.Integer(),
  clock: Type.String({ description: 'auto, manual or real' }),
  nextAlarmNs: orNull(Type.Integer({ description: 'When the clock has something to ring' })),
  clockWaitsFor: Type.Array(Type.Integer(), { description: 'Peers whose answers keep the clock from passing' }),
  clockHeldBy: Type.Array(Type.Object({ peer: Type.Integer(), untilNs: Type.Integer() }), { description: 'How far each has granted it' }),
  peers: Type.Array(
    Type.Object({
      peer: Type.Integer(),
      client: Type.String({ description: 'Product and version' }),
      roles: Type.Array(Type.String()),
      plays: Type.Array(FunctionAddress, { description: 'Functions that it emulates' }),
      silent: Type.Boolean({ description: 'It has owed an answer for longer than the watchdog allows' }),
      calls: Type.Integer({ description: 'Of its calls, that have no reply' }),
      mistakes: Type.Integer({ description: 'Answers of it that fitted no call, or not their call' }),
      owes: Type.Array(
        Type.Object({
          call: Type.String(),
          forMs: orNull(Type.Number({ description: 'Wall clock; null where it waits for credit that the peer has not given' })),
        }),
      ),
    }),
  ),
  memory: Type.Array(
    Type.Object({
      address: Type.String({ examples: ['0x80000000'] }),
      bytes: Type.String({ examples: ['0x10000'] }),
      peer: Type.Integer({ description: 'Its owner' }),
      absent: Type.Boolean({ description: 'Its owner has vanished; another may own the same range until the grace time is over' }),
    }),
    { description: 'Ranges of memory that peers own' },
  ),
  waiting: Type.Array(
    Type.Object({
      call: Type.String(),
      function: orNull(FunctionAddress),
      sinceNs: Type.Integer({ description: "On the machine's clock" }),
      waitsFor: Type.String({ examples: ['2 invalidations of 00:02.0'] }),
    }),
    { description: 'Calls that have no reply' },
  ),
});
export type Status = Static<typeof Status>;

export const KeepDirtyLog = Type.Object({ on: Type.Boolean({ description: 'Every page is clean then' }) }, closed);
export const ReadDirtyLog = Type.Object(
  {
    address: Type.String({ pattern: '^0x[0-9a-fA-F]{1,16}$', description: 'Physical, a multiple of 4096' }),
    bytes: Type.Integer({ minimum: 4096, description: 'A multiple of 4096' }),
    clear: Type.Optional(Type.Boolean({ description: 'What is told is clean afterwards. Default true' })),
  },
  closed,
);
export const WrittenRanges = Type.Object({
  ranges: Type.Array(Type.Object({ address: Type.String({ examples: ['0x100000'] }), bytes: Type.Integer() }), {
    description: 'Whole pages, rising, as long as they can be',
  }),
});
export type WrittenRanges = Static<typeof WrittenRanges>;
