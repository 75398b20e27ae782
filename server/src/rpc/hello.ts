import { CONTRACT_VERSION, CREDIT_DEFAULTS, u64FromNumber, type PacketLimits, type iommud } from '../../../proto/index.ts';
import {
  DMA_BYTES_MAX,
  FEATURE_CHARS_MAX,
  FRAME_BYTES_MAX,
  FRAME_BYTES_MIN,
  HELLO_LIST_MAX,
  HELLO_TOKEN_CHARS_MAX,
  PACKET_BYTES_MAX,
  PACKET_FRAMES_MAX,
  PRODUCT_CHARS_MAX,
  RECEIVE_BUFFER_BYTES_MAX,
  SEND_BUFFER_BYTES_MAX,
} from '../../../proto/limits.ts';
import { ModelError } from '../core/base/index.ts';
import type { PeerRoles } from '../core/machine/index.ts';
import { CREDIT_CLASS_NAMES, ROLES, type CreditClassName, type RoleName } from './enums.ts';
import { invalid } from './errors.ts';
import { needText, needWord } from './fields.ts';

/** Features that a client may be granted. */
const FEATURES: readonly string[] = [];

/** What a connection may do. */
export interface Authorization {
  readonly roles: readonly RoleName[];
}

/** Decides what a connection may do; it is given the token in Hello. Undefined: nothing. */
export type Authorize = (helloToken: string | undefined) => Authorization | undefined;

export const NO_ROLES: PeerRoles = { host: false, device: false, memory: false, observer: false };

/** What the server says of itself and of the machine. */
export interface Welcome {
  readonly product: string;
  readonly productVersion: string;
  readonly machine: string;
  readonly preset: string;
  /** Page sizes that can be mapped, ascending, bytes; none without an IOMMU. */
  readonly pageBytes: readonly number[];
}

export interface Granted {
  readonly roles: PeerRoles;
  readonly features: readonly string[];
  /** What connected: product and version, for the log. */
  readonly client: string;
  /** What it accepts. */
  readonly limits: PacketLimits;
  /** For the server's calls. */
  readonly credits: readonly iommud.v1.Credit.$Properties[];
}

/**
 * What a Hello gets. `authorize` is given the token in it. Throws {@link ModelError}: EINVAL for a field that is missing or cannot be, EPERM when
 * the token opens nothing or none of the wanted roles.
 */
export function grant(hello: iommud.v1.Hello, authorize: (token: string | undefined) => Authorization | undefined): Granted {
  const product = needText(hello.product, 'product', PRODUCT_CHARS_MAX);
  const version = needText(hello.productVersion, 'product_version', PRODUCT_CHARS_MAX);
  const contract = needText(hello.contractVersion, 'contract_version', PRODUCT_CHARS_MAX);
  if (major(contract) !== major(CONTRACT_VERSION)) {
    throw invalid('contract_version', `${contract} is not spoken here; this server speaks ${CONTRACT_VERSION}`);
  }
  needList(hello.roles, 'roles');
  if (hello.roles.length === 0) throw invalid('roles', 'is empty; ask for at least one');
  const wanted = hello.roles.map((role) => needWord(role, 'roles', ROLES));
  needList(hello.features, 'features');
  for (const feature of hello.features) needText(feature, 'features', FEATURE_CHARS_MAX);
  needList(hello.credits, 'credits');
  if (hello.token !== null && hello.token.length > HELLO_TOKEN_CHARS_MAX) throw invalid('token', 'is too long');
  const allowed = authorize(hello.token ?? undefined);
  if (allowed === undefined) throw new ModelError('EPERM', 'the token does not open this machine', 'token');
  const roles = wanted.filter((role) => allowed.roles.includes(role));
  if (roles.length === 0) {
    throw new ModelError('EPERM', `the token allows ${allowed.roles.join(', ') || 'no role'}, not ${wanted.join(', ')}`, 'roles');
  }
  checkCredits(hello.credits, roles);
  return {
    roles: {
      host: roles.includes('host'),
      device: roles.includes('device'),
      memory: roles.includes('memory'),
      observer: roles.includes('observer'),
    },
    features: FEATURES.filter((feature) => hello.features.includes(feature)),
    client: `${product} ${version}`,
    limits: packetLimits(hello.limits, roles.includes('memory')),
    credits: hello.credits,
  };
}

/** The classes of the calls that the server makes of a role: with no call at a time it could ask nothing, and wait for ever. */
const CALLED_IN: Partial<Record<RoleName, readonly CreditClassName[]>> = { device: ['control', 'access'], memory: ['memory'] };

function checkCredits(credits: readonly iommud.v1.Credit.$Properties[], roles: readonly RoleName[]): void {
  for (const credit of credits) {
    const name = needWord(credit.class ?? null, 'credits.class', CREDIT_CLASS_NAMES);
    const caller = roles.find((role) => CALLED_IN[role]?.includes(name) === true);
    if (caller !== undefined && (credit.calls ?? 0) === 0) {
      throw invalid('credits.calls', `is 0 in class ${name}, in which the role ${caller} is called; grant at least 1`);
    }
  }
}

/** A memory owner is sent writes of up to DMA_BYTES_MAX, each in one frame. */
function packetLimits(limits: iommud.v1.Limits.$Properties | null, ownsMemory: boolean): PacketLimits {
  const frameBytes = limits?.frameBytesMax ?? 0;
  if (ownsMemory && frameBytes !== 0 && frameBytes < FRAME_BYTES_MAX) {
    throw invalid('limits.frame_bytes_max', `is below ${FRAME_BYTES_MAX}, which the writes to a memory owner need`);
  }
  if (frameBytes !== 0 && frameBytes < FRAME_BYTES_MIN) throw invalid('limits.frame_bytes_max', `is below ${FRAME_BYTES_MIN}`);
  const least = (own: number, theirs: number | undefined): number => Math.min(own, theirs === undefined || theirs === 0 ? own : theirs);
  return {
    frameBytesMax: least(FRAME_BYTES_MAX, frameBytes),
    packetBytesMax: least(PACKET_BYTES_MAX, limits?.packetBytesMax),
    packetFramesMax: least(PACKET_FRAMES_MAX, limits?.packetFramesMax),
  };
}

export function helloReply(welcome: Welcome, granted: Granted): iommud.v1.HelloReply.$Properties {
  const roles = (Object.keys(granted.roles) as RoleName[]).filter((role) => granted.roles[role]);
  return {
    product: welcome.product,
    productVersion: welcome.productVersion,
    contractVersion: CONTRACT_VERSION,
    roles: roles.map((role) => ROLES.number[role]),
    features: [...granted.features],
    limits: {
      frameBytesMax: FRAME_BYTES_MAX,
      packetBytesMax: PACKET_BYTES_MAX,
      packetFramesMax: PACKET_FRAMES_MAX,
      dmaBytesMax: DMA_BYTES_MAX,
      sendBufferBytesMax: SEND_BUFFER_BYTES_MAX,
      receiveBufferBytesMax: RECEIVE_BUFFER_BYTES_MAX,
    },
    credits: [...CREDIT_DEFAULTS],
    pageBytes: welcome.pageBytes.map(u64FromNumber),
    machine: welcome.machine,
    preset: welcome.preset,
  };
}

function needList(list: readonly unknown[], field: string): void {
  if (list.length > HELLO_LIST_MAX) throw invalid(field, `has ${list.length} entries; at most ${HELLO_LIST_MAX} are allowed`);
}

function major(version: string): string {
  return version.split('.', 1)[0] ?? '';
}
