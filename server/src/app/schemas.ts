/** Shapes of REST bodies: what comes in is checked by them, and `/docs` is made from them. */
import { Type, type Static, type TSchema } from 'typebox';
import { PEER_GRACE_MS, PEER_GRACE_MS_MAX, WINDOW_TOKEN_CHARS_MAX } from '../../../proto/limits.ts';
import { ERRORS, RESET_METHODS, type ErrorName } from '../core/base/index.ts';
import { BEHAVIOURS, CLOCK_MODES, FIXES, FIX_NAMES } from '../core/machine/index.ts';
import { KEY_CHARS_MAX } from './once.ts';
import { MACHINE_NAME } from './topology/index.ts';

/** Longest drain that can be asked for: an hour of the machine's clock. */
const DEADLINE_MS_MAX = 3_600_000;
/** What a timer of Node can wait for. */
const TTL_SECONDS_MAX = 2_000_000;
/** Words are for finding a machine again, not for keeping data. */
const LABELS_MAX = 64;
/** A path or an address of a CI run. */
const LABEL_CHARS_MAX = 256;

export const closed = { additionalProperties: false };

export function orNull<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}
export function hex(description: string) {
  return Type.String({ description: `${description}, hexadecimal`, examples: ['0x10000'] });
}

const Name = Type.String({ pattern: MACHINE_NAME, description: 'Name of a machine, no other may have it' });
const Labels = Type.Record(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$' }), Type.String({ maxLength: LABEL_CHARS_MAX }), {
  maxProperties: LABELS_MAX,
  additionalProperties: false,
  description: 'Words of your own, by which machines can be listed',
});
const Seed = Type.Integer({ minimum: 0, maximum: 0xffff_ffff, description: 'All chance in the machine comes from it' });
const Clock = Type.Enum([...CLOCK_MODES], { description: 'auto jumps to the next alarm when nothing can run' });
const Behaviour = Type.Enum([...BEHAVIOURS], {
  description: 'strict closes the gaps of Linux; linux-7.1 has them; linux-7.0 also has what its fixes mended',
});
const WithoutFixes = Type.Array(Type.Enum([...FIX_NAMES]), {
  description: `Fixes of Linux, by commit, that are switched off. ${FIX_NAMES.map((fix) => `${fix}: ${FIXES[fix]}`).join('. ')}`,
});
export const FunctionAddress = Type.String({ description: 'bus:device.function, or with the segment in front', examples: ['00:02.0'] });
const ElapsedNs = Type.Integer({ description: "How far the machine's clock moved meanwhile" });

export const CreateMachine = Type.Object(
  {
    topology: Type.Optional(
      Type.Union([Type.Object({}, { additionalProperties: true }), Type.String()], {
        description: 'iommud.topology/v1, as JSON or as text in JSON or YAML; see /v1/schemas/topology.json',
      }),
    ),
    lspci: Type.Optional(Type.String({ description: 'Text that lspci -xxxx has printed' })),
    preset: Type.Optional(Type.String({ description: 'basic, switch or no-iommu', examples: ['basic'] })),
    name: Type.Optional(Name),
    seed: Type.Optional(Seed),
    clock: Type.Optional(Clock),
    behaviour: Type.Optional(Behaviour),
    withoutFixes: Type.Optional(WithoutFixes),
    labels: Type.Optional(Labels),
    ttl: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: TTL_SECONDS_MAX, description: 'Seconds after which it is deleted' })),
    peerGraceMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: PEER_GRACE_MS_MAX,
        description: `How long, wall clock, a function whose emulator has vanished may be claimed again before it is pulled out. Default ${PEER_GRACE_MS}`,
      }),
    ),
    ephemeral: Type.Optional(
      Type.Boolean({ description: 'Deleted when the first connection that was granted a role closes, or when none was in a minute' }),
    ),
  },
  { ...closed, description: 'Exactly one of topology, lspci and preset says what the machine is' },
);
export type CreateMachine = Static<typeof CreateMachine>;

export const Machine = Type.Object({
  id: Type.String(),
  name: Type.String({ description: 'As given, or the id' }),
  state: Type.String({ description: 'up, or crashed on a bug of the server' }),
  source: Type.String({ description: 'topology, lspci, or the preset', examples: ['preset basic'] }),
  seed: Seed,
  clock: Clock,
  behaviour: Behaviour,
  withoutFixes: WithoutFixes,
  labels: Type.Record(Type.String(), Type.String()),
  functions: Type.Integer({ description: 'How many it has now' }),
  iommu: Type.Boolean(),
  ephemeral: Type.Boolean(),
  createdAt: Type.String({ format: 'date-time' }),
  expiresAt: orNull(Type.String({ format: 'date-time' })),
  sessions: Type.Integer({ description: 'Open connections' }),
  warnings: Type.Array(Type.String(), { description: 'What was odd in the dump, by function and offset' }),
  socketUrl: Type.String({ description: 'Connect here, with subprotocol iommud.v1; use it as it is', format: 'uri' }),
});
export type Machine = Static<typeof Machine>;
export const MachineList = Type.Object({ machines: Type.Array(Machine) });

export const MachineQuery = Type.Object(
  {
    label: Type.Optional(
      Type.Union([Type.String(), Type.Array(Type.String())], { description: 'KEY or KEY=VALUE; given twice, both must hold' }),
    ),
  },
  closed,
);
export const LoadQuery = Type.Object({ name: Type.Optional(Name) }, closed);
/** Any bytes: what is wrong with them is said by whoever reads them. */
export const SnapshotFile = Type.Any({ description: 'A file of iommud: docs/snapshots.md' });

/** The same. */
export const RecordingFile = Type.Any({ description: 'A file of iommud that grows: docs/recording.md' });

export const MachineParams = Type.Object({ id: Type.String({ description: 'Id or name of a machine' }) });
export const RecordingParams = Type.Object({
  id: Type.String({ description: 'Id or name of a machine' }),
  recording: Type.String({ pattern: '^[1-9][0-9]{0,14}$', description: 'As the header iommud-recording of the recording has it' }),
});
export const FunctionParams = Type.Object({ id: Type.String({ description: 'Id or name of a machine' }), bdf: FunctionAddress });

export const Domain = Type.Object({
  id: Type.Integer(),
  type: Type.String({ description: 'paging, identity or blocked' }),
  sharedAddress: Type.Boolean(),
});

const functionFields = {
  function: FunctionAddress,
  model: Type.String(),
  label: Type.String(),
  vendor: hex('Vendor ID'),
  device: hex('Device ID'),
  classCode: hex('Class code, 24 bits'),
  configBytes: Type.Integer(),
  secondaryBus: orNull(Type.Integer({ description: 'Of a bridge' })),
  group: orNull(Type.Integer({ description: 'IOMMU group' })),
  atsSupported: Type.Boolean(),
  blocked: Type.Boolean({ description: 'A reset window is open: the IOMMU refuses its requests' }),
  resetDepth: Type.Integer(),
  gate: Type.String({ description: 'open, or closed while a drain or a window keeps requests from leaving' }),
  inFlight: Type.Integer({ description: 'Entries of the ledger' }),
  absent: Type.Boolean({ description: 'A remote function that nobody has claimed' }),
  linkDown: Type.Boolean({ description: 'The link above it is down: it answers nothing' }),
  physicalFunction: orNull(Type.String({ description: 'Of a virtual function: the one that it belongs to' })),
};
export const FunctionSummary = Type.Object(functionFields);
export type FunctionSummary = Static<typeof FunctionSummary>;
export const FunctionList = Type.Object({ functions: Type.Array(FunctionSummary) });
export const FunctionDetail = Type.Object({
  ...functionFields,
  busMaster: Type.Boolean(),
  atsEnabled: Type.Boolean(),
  resetMethods: Type.Array(Type.String()),
  logicalDomain: orNull(Domain),
  physicalDomain: orNull(Domain),
  pasids: Type.Array(Type.Object({ pasid: Type.Integer(), logicalDomain: Domain, physicalDomain: orNull(Domain) })),
  windows: Type.Array(Type.String(), { description: 'Tokens of the open windows' }),
  armedFaults: Type.Array(Type.String()),
  itags: Type.Integer({ description: 'Outstanding invalidations' }),
  attachDeferred: Type.Boolean({ description: 'It keeps the context that firmware left until its first use' }),
  directRegions: Type.Array(Type.Object({ address: Type.String(), bytes: Type.Integer(), relaxable: Type.Boolean() }), {
    description: 'Memory that firmware uses through the function, mapped 1:1',
  }),
  reservedRegions: Type.Array(Type.Object({ address: Type.String(), bytes: Type.Integer(), type: Type.String() }), {
    description: 'IOVAs that are not to be given away, as sysfs reserved_regions has them',
  }),
});
export type FunctionDetail = Static<typeof FunctionDetail>;

export const FaultList = Type.Object({
  faults: Type.Array(
    Type.Object({
      number: Type.Integer(),
      timeNs: Type.Integer(),
      function: FunctionAddress,
      pasid: orNull(Type.Integer()),
      iova: hex('I/O virtual address'),
      access: Type.String({ description: 'r, w, rw, with x for execute' }),
      cause: Type.String(),
      stage: Type.Integer({ description: 'The stage of translation that refused, 1 or 2; 0 where none did' }),
      privileged: Type.Boolean({ description: 'The request asked for privileged mode' }),
      execute: Type.Boolean({ description: 'The request asked to execute' }),
      text: Type.String({ examples: ['00:02.0 write 0x11000: not present'] }),
    }),
  ),
  overflow: Type.Integer({ description: 'Records that found no room' }),
});
export type FaultList = Static<typeof FaultList>;

export const ArmedFaultList = Type.Object({
  faults: Type.Array(
    Type.Object({
      armed: Type.Integer({ description: 'Its number' }),
      fault: Type.String(),
      function: orNull(FunctionAddress),
      address: orNull(hex('Physical address, of a fault of memory')),
      bytes: orNull(Type.Integer()),
      error: orNull(Type.String()),
      passes: Type.Integer({ description: 'Occurrences that it lets pass yet' }),
      acted: Type.Integer({ description: 'How often it has acted' }),
      left: orNull(Type.Integer({ description: 'How often it will yet; null without end' })),
      inForce: Type.Boolean(),
      hosts: Type.Boolean({ description: 'Of memory: it acts on accesses of hosts too.' }),
      text: Type.String({ examples: ['00:02.0 late-completions by 5000000 ns: acted 0, 1 left'] }),
    }),
  ),
});
export type ArmedFaultList = Static<typeof ArmedFaultList>;

const WindowToken = Type.String({
  minLength: 1,
  maxLength: WINDOW_TOKEN_CHARS_MAX,
  description: 'Names the window; the same token gets the same answer',
});
const DeadlineMs = Type.Number({ minimum: 0, maximum: DEADLINE_MS_MAX, description: "How long the drain may take on the machine's clock" });
const OnDeadline = Type.Enum(['abort', 'fail'], { description: 'abort drops what is left; fail puts everything back', default: 'abort' });

export const ResetPrepare = Type.Object({ token: WindowToken, deadlineMs: DeadlineMs, onDeadline: Type.Optional(OnDeadline) }, closed);
export const ResetDone = Type.Object(
  { token: Type.Optional(WindowToken), all: Type.Optional(Type.Boolean({ description: 'Ends every window of the function' })) },
  { ...closed, description: 'Either token or all' },
);
export const ResetFunction = Type.Object(
  {
    method: Type.Optional(
      Type.Enum([...RESET_METHODS], { description: 'Absent: those that are enabled, until one does not answer ENOTTY' }),
    ),
    window: Type.Optional(Type.Boolean({ default: true, description: 'false: without prepare and done, as Linux before 7.0' })),
    deadlineMs: DeadlineMs,
    onDeadline: Type.Optional(OnDeadline),
  },
  closed,
);

const windowReport = {
  skipped: Type.Boolean({ description: 'Prepare and done do nothing here' }),
  depth: Type.Integer({ description: 'Nested windows' }),
  drained: Type.Integer({ description: 'Requests that ended by themselves' }),
  aborted: Type.Integer({ description: 'Requests that were dropped' }),
  indeterminate: Type.Integer({ description: "Writes whose fate only their memory's owner knows" }),
  indeterminateRanges: Type.Array(Type.Object({ address: hex('Physical address'), bytes: Type.Integer() })),
  completed: Type.Integer({ description: 'Invalidations awaited by the fence' }),
  timedOut: Type.Integer(),
  elapsedNs: ElapsedNs,
};
const warning = Type.String({ description: 'What Linux would print; may be empty' });
export const PrepareReport = Type.Object(windowReport);
export type PrepareReport = Static<typeof PrepareReport>;
export const DoneReport = Type.Object({ depth: Type.Integer(), skipped: Type.Boolean(), warning, elapsedNs: ElapsedNs });
export type DoneReport = Static<typeof DoneReport>;
export const ResetReport = Type.Object({
  method: Type.String(),
  pendingTimedOut: Type.Boolean({ description: 'Transactions were still pending after 100 + 200 + 400 ms' }),
  warning,
  ...windowReport,
});
export type ResetReport = Static<typeof ResetReport>;

export const Health = Type.Object({
  status: Type.String({ description: 'ok, or draining' }),
  product: Type.String(),
  version: Type.String(),
  contract: Type.String({ description: 'Version of the wire contract' }),
});

const ErrorBody = Type.Object(
  {
    code: Type.Enum(Object.keys(ERRORS) as [ErrorName, ...ErrorName[]], { description: 'The contract; the message is for people' }),
    errno: Type.Integer(),
    message: Type.String(),
    about: Type.String({ description: 'The field, header or address that it is about; may be empty' }),
  },
  { description: 'Not done, and nothing was changed' },
);

/** Responses of a route: its own, and what every route may answer. */
export function responses<T extends Record<number, TSchema>>(own: T) {
  return { ...own, '4xx': ErrorBody, '5xx': ErrorBody };
}

export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: KEY_CHARS_MAX,
      description: 'The same key with the same body gets the same answer, and nothing is done twice',
    }),
  ),
});
