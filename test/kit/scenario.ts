/**
 * Scenarios: one story, told to a machine over each driver.
 *
 *   scenario('a rogue write lands nowhere', { preset: 'basic' }, async (m) => {
 *     const dev = m.function('00:02.0');
 *     expect(await dev.model.write(0x11000, 'rogue')).toMatchObject({ outcome: 'not-present' });
 *   });
 *
 * runs as three tests, `… [in-process]`, `… [loopback]` and `… [socket]`, each on a machine of its own; and once more, `… [loopback, its probes played by the
 * example]`, on a machine whose dma-probes are functions that another program plays (test/kit/played-probes.ts).
 *
 * `m` is the client's Machine on a host connection (client/src/machine.ts): `m.function(bdf)`, `m.memory`, `m.domains`, `m.faults.next()`,
 * `m.interrupts`, `m.windows`, `m.logs`, `m.clock`, `m.traceHash()`. Besides:
 *
 *   m.connect(['memory'])       another connection: a memory owner, a device, a second host, an observer. Closed with the machine.
 *   m.connection                the host's own connection: `m.connection.call(…)` makes any call of the contract as it stands there.
 *   m.raw('device')             a peer that speaks frames, for what no client does (not in process)
 *   m.pages(n)                  n pages of memory, allocated: their address
 *   m.mapped(dev, iova, n)      the same, mapped read-write at `iova` in the domain that `dev` has attached
 *   m.text(address, bytes)      what is in memory, as text
 *   m.socketUrl                 where a program of its own connects, over the socket driver
 *   m.driver                    the driver's name, for the rare step that only one of them has
 *
 * and in this file `refusal(promise)`: the code of the error that the call must get; `settled(promise)`: whether it has settled by now;
 * `eventually(check)`: waits, wall clock, until a check passes, for what happens behind the back of the caller.
 *
 * Options: what the machine is made from (`preset`, which is `basic` when nothing is said, `topology` or `lspci`), `behaviour`, `clock`,
 * `seed`, `drivers` where not all three make sense, `played` where another program's probes cannot take part, and `skip` where something is missing
 * here.
 */
import { afterAll, expect, test } from 'vitest';
import { IommudError, Machine, type Connection, type FunctionHandle, type Role } from '../../client/src/index.ts';
import { inProcessDriver, loopbackDriver, socketDriver, type DrivenMachine, type Driver, type MachineRequest } from '../driver/index.ts';
import { RawPeer, ROLE } from '../unit/rpc/raw-peer.ts';
import { hasProbes, playProbes, withSlots } from './played-probes.ts';

const LOOPBACK = loopbackDriver();
const DRIVERS: readonly Driver[] = [inProcessDriver(), LOOPBACK, socketDriver()];
export type DriverName = 'in-process' | 'loopback' | 'socket';

const PAGE_BYTES = 4096;
const SEED = 7;
/** Longest wait for something that happens behind the caller's back, wall clock. */
const EVENTUALLY_MS = 5000;

export interface ScenarioOptions extends MachineRequest {
  readonly drivers?: readonly DriverName[];
  /**
   * Over which drivers it is told with its probes played by another program; `loopback` when nothing is said. `none`: they cannot take part, for the reason that
   * the scenario gives.
   */
  readonly played?: 'loopback' | 'every-driver' | 'none';
  /** It is skipped. */
  readonly skip?: boolean;
}

/** The machine of a scenario, in the hands of a host. */
export class ScenarioMachine extends Machine {
  readonly driver: string;
  readonly connection: Connection;
  readonly #driven: DrivenMachine;
  #connections = 1;

  constructor(driver: string, driven: DrivenMachine, connection: Connection) {
    super(connection);
    this.driver = driver;
    this.connection = connection;
    this.#driven = driven;
  }

  /** Where a program of its own connects to it, over the socket driver. */
  get socketUrl(): string {
    return this.#driven.socketUrl ?? expect.unreachable('only the socket driver has a place to connect to');
  }

  connect(roles: readonly Role[]): Promise<Connection> {
    return this.#driven.connect(roles, `window-${++this.#connections}`);
  }

  /** A peer that speaks frames, and does what no client would: on the loopback and socket drivers. */
  async raw(...roles: readonly (keyof typeof ROLE)[]): Promise<RawPeer> {
    const wire = await this.#driven.wire?.();
    if (wire === undefined) throw new Error(`the ${this.driver} driver has no frames`);
    const peer = new RawPeer(wire).hello(roles.map((role) => ROLE[role])).send();
    await peer.replyTo(1);
    return peer;
  }

  async pages(count: number): Promise<bigint> {
    return (await this.memory.alloc(count * PAGE_BYTES)).address;
  }

  async mapped(dev: FunctionHandle, iova: bigint | number, pages = 1): Promise<bigint> {
    const address = await this.pages(pages);
    await dev.dma.map({ iova, address, bytes: pages * PAGE_BYTES, access: 'rw' });
    return address;
  }

  async text(address: bigint, bytes: number): Promise<string> {
    return new TextDecoder().decode(await this.memory.read(address, bytes));
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#driven.close();
  }
}

export type ScenarioBody = (m: ScenarioMachine) => Promise<void>;

export function scenario(title: string, options: ScenarioOptions, body: ScenarioBody): void {
  const { drivers, skip = false, played = 'loopback', ...request } = options;
  for (const driver of DRIVERS) {
    if (drivers !== undefined && !drivers.some((name) => name === driver.name)) continue;
    test.skipIf(skip)(`${title} [${driver.name}]`, async () => {
      await using m = await startScenario(driver, request);
      await body(m);
    });
  }
  if (skip || played === 'none' || !hasProbes(request)) return;
  for (const driver of DRIVERS) {
    const told = drivers === undefined || drivers.some((name) => name === driver.name);
    if (told && (played === 'every-driver' || driver === LOOPBACK)) tellPlayed(title, driver, request, body);
  }
}

/** Once more, with each probe in another program. */
function tellPlayed(title: string, driver: Driver, request: MachineRequest, body: ScenarioBody): void {
  test(`${title} [${driver.name}, its probes played by the example]`, async () => {
    await using m = await startScenario(driver, withSlots(request));
    await playProbes(m, request);
    await body(m);
  });
}

async function startScenario(driver: Driver, request: MachineRequest): Promise<ScenarioMachine> {
  const hasSource = request.topology !== undefined || request.lspci !== undefined || request.preset !== undefined;
  const driven = await driver.createMachine({ seed: SEED, ...(hasSource ? {} : { preset: 'basic' }), ...request });
  return new ScenarioMachine(driver.name, driven, await driven.connect(['host', 'observer'], 'window-1'));
}

/** The code of the refusal that the call must get. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => expect.unreachable('the call was not refused'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof IommudError)) throw error;
  return error.code;
}

/** Whether it has settled by now, everything that was sent before having been answered. */
export async function settled(call: Promise<unknown>, m: Machine): Promise<boolean> {
  let done = false;
  const note = (): void => {
    done = true;
  };
  call.then(note, note);
  await m.info();
  return done;
}

/** Waits until the check passes; what it throws at the last is what the test says. */
export async function eventually(check: () => Promise<void> | void): Promise<void> {
  const deadline = performance.now() + EVENTUALLY_MS;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}

afterAll(async () => {
  await Promise.all(DRIVERS.map((driver) => driver.close()));
});
