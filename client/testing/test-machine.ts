import { IommudError, Machine, connect, type Connection, type Role } from '../src/index.ts';
import { deleteMachine, type MadeMachine, type Service, type StartedRecording } from './rest.ts';

export type ConnectRoles = readonly [Role, ...Role[]];

/** A machine that was made for a test, with the host's connection to it. Disposing of it, or `close()`, deletes it. */
export class TestMachine extends Machine {
  readonly id: string;
  /** Where others can connect to it, as long as it is there. */
  readonly socketUrl: string;
  /** The service's address. */
  readonly serviceUrl: string;
  /** What was odd in a dump, by function and offset. */
  readonly warnings: readonly string[];
  /** The host's. */
  readonly connection: Connection;
  readonly #service: Service;
  readonly #recording: StartedRecording | undefined;
  readonly #stopService: () => Promise<void>;
  readonly #others = new Set<Connection>();
  /** Connections so far, the host's included. */
  #connections = 1;
  #closed: Promise<void> | undefined;

  constructor(
    made: MadeMachine,
    connection: Connection,
    service: Service,
    recording: StartedRecording | undefined,
    stopService: () => Promise<void>,
  ) {
    super(connection);
    this.id = made.id;
    this.socketUrl = made.socketUrl;
    this.serviceUrl = service.url;
    this.warnings = made.warnings;
    this.connection = connection;
    this.#service = service;
    this.#recording = recording;
    this.#stopService = stopService;
  }

  /** Another connection to it: a device, a memory owner, a second host, an observer. Closed with the machine. */
  async connect(roles: ConnectRoles): Promise<Connection> {
    // Numbered rather than random, so that equal programs give equal trace hashes.
    const tokenPrefix = `window-${++this.#connections}`;
    const other = await connect(this.socketUrl, { roles, token: this.#service.token, tokenPrefix });
    this.#others.add(other);
    void other.closed.then(() => this.#others.delete(other));
    return other;
  }

  /** Ends the recording that the machine was started with; its file, for `iommud replay`. Errors: EINVAL where it was started without. */
  async endRecording(): Promise<Uint8Array> {
    if (this.#recording === undefined) {
      throw new IommudError({
        code: 'EINVAL',
        message: 'the machine is not recorded; start it with { recorded: true }',
        about: 'recorded',
      });
    }
    return this.#recording.end();
  }

  override close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await Promise.all([this.connection, ...this.#others].map((one) => one.close()));
    await deleteMachine(this.#service, this.id);
    await this.#stopService();
  }
}
