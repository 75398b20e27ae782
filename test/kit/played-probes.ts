import { dmaProbe, type ProbeState } from '../../client/examples/dma-probe-device.ts';
import type { Moved } from '../../client/examples/dma-probe/mover.ts';
/**
 * Machines whose dma-probes live in another program: the same topology with slots in place of them, which the example of client/examples plays from a connection of
 * its own. To be told from the server's own by nothing, but for `dev.model`: its calls are to the server's models. What the example offers to whoever has it in
 * hand takes their place, so that the scenarios that use them can be told.
 */
import type {
  Atomic,
  Connection,
  DmaResult,
  FunctionHandle,
  Machine,
  Model,
  ModelOptions,
  PlayedFunction,
} from '../../client/src/index.ts';
import { presetText } from '../../server/src/app/topology/index.ts';
import { formatBdf } from '../../server/src/core/base/index.ts';
import type { MachineRequest } from '../driver/index.ts';
import { machineSpec } from '../driver/machine-spec.ts';
import { untilInFlight } from './in-flight.ts';

/** Of the machine to a question for what is in flight, while an operation is on its way. */
const TURNS_MAX = 1000;

interface Stage {
  connect(roles: readonly ['device']): Promise<Connection>;
  readonly logs: Machine['logs'];
  readonly clock: Machine['clock'];
  info(): Promise<unknown>;
  function(bdf: string): FunctionHandle;
}

/** Whether it has a probe that can be played. */
export function hasProbes(request: MachineRequest): boolean {
  return request.lspci === undefined && probesOf(request).length > 0;
}

function probesOf(request: MachineRequest): readonly string[] {
  return machineSpec(request)
    .functions.filter(({ model }) => model === 'dma-probe')
    .map(({ bdf }) => formatBdf(bdf));
}

/** The same with slots that are what the probes were. */
export function withSlots({ preset, topology, ...others }: MachineRequest): MachineRequest {
  const text = topology === undefined ? presetText(preset ?? 'basic') : typeof topology === 'string' ? topology : JSON.stringify(topology);
  const slots = text
    .replaceAll('"model":"dma-probe"', '"model":"remote","vendor":"0x1234","device":"0x11d0"')
    .replaceAll(/^( *)(- )?model: dma-probe$/gm, '$1$2model: remote\n$1vendor: "0x1234"\n$1device: "0x11d0"')
    .replaceAll('model: dma-probe', 'model: remote, vendor: "0x1234", device: "0x11d0"');
  return { ...others, topology: slots };
}

/** From now on it plays them, and `m.function` of one gives a handle whose model is the played one. */
export async function playProbes(m: Stage, request: MachineRequest): Promise<void> {
  const emulator = await m.connect(['device']);
  const played = new Map<string, PlayedFunction<ProbeState>>();
  for (const bdf of probesOf(request)) played.set(bdf, await dmaProbe.claim(emulator, bdf, { asItStands: true }));
  // That they were claimed is said to the host, who has been told nothing else yet.
  await m.info();
  m.logs.take();
  const handleOf = m.function.bind(m);
  const models = new Map([...played].map(([bdf, probe]) => [bdf, new PlayedModel(probe, handleOf(bdf))]));
  m.function = (bdf) => {
    const dev = handleOf(bdf);
    const model = models.get(dev.bdf);
    return model === undefined ? dev : Object.defineProperty(dev, 'model', { value: model });
  };
  // What they do comes by another connection: the clock would overtake it, and then wait for it no more.
  const advance = m.clock.advance.bind(m.clock);
  m.clock.advance = async (by) => {
    await Promise.all([...models.values()].map((model) => model.sent()));
    return advance(by);
  };
}

type OfModel = Pick<Model, 'read' | 'write' | 'atomic' | 'translate' | 'requestPages' | 'stopPasid' | 'interrupt' | 'line'>;

/**
 * What `dev.model` is for a probe that the server plays. A hold is the fault of this name, armed behind what was begun before, and so it has no end by the
 * clock.
 */
class PlayedModel implements OfModel {
  readonly #probe: PlayedFunction<ProbeState>;
  /** Every operation with a hold is in flight. */
  #begun: Promise<unknown> = Promise.resolve();
  readonly #dev: FunctionHandle;
  /** Operations that have not ended, but for those that may wait for pages. */
  #open = 0;

  constructor(probe: PlayedFunction<ProbeState>, dev: FunctionHandle) {
    this.#probe = probe;
    this.#dev = dev;
  }

  /** Resolves when each operation has ended or is in the ledger. */
  async sent(): Promise<void> {
    for (let turns = 0; this.#open > 0; turns++) {
      if ((await this.#dev.ledger()).length >= this.#open) return;
      if (turns === TURNS_MAX)
        throw new Error(`${this.#dev.bdf} has not sent what it was told to after ${TURNS_MAX} answers of the machine`);
    }
  }

  read(iova: bigint | number, bytes: number, options: ModelOptions = {}): Promise<DmaResult> {
    return this.#move(BigInt(iova), bytes, undefined, options);
  }

  write(iova: bigint | number, data: Uint8Array | string, options: ModelOptions = {}): Promise<DmaResult> {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    return this.#move(BigInt(iova), bytes.length, bytes, options);
  }

  atomic(iova: bigint | number, atomic: Atomic, { hold, translated, ...options }: ModelOptions = {}): Promise<DmaResult> {
    if (translated === true) throw new Error('no scenario has the example make a translated atomic');
    if (options.execute === true) throw new Error('an atomic of the device role cannot say that it executes');
    return this.#begin(hold, () => this.#fn.dma.atomic(iova, atomic, termsOf(options)));
  }

  translate(iova: bigint | number, _bytes = 1, { translations, hold, ...options }: ModelOptions = {}): Promise<DmaResult> {
    const terms = { ...options, ...(translations === undefined ? {} : { count: translations }) };
    return this.#begin(hold, () => this.#fn.ats.translate(iova, terms));
  }

  requestPages: Model['requestPages'] = (iova, options) => this.#fn.dma.requestPages(iova, options);
  stopPasid: Model['stopPasid'] = (pasid, options) => this.#fn.dma.stopPasid(pasid, options);
  interrupt: Model['interrupt'] = (vector) => this.#fn.interrupt(vector);
  line: Model['line'] = (asserted) => this.#fn.line(asserted);

  get #fn() {
    return this.#probe.fn;
  }

  async #move(iova: bigint, bytes: number, data: Uint8Array | undefined, options: ModelOptions): Promise<DmaResult> {
    const { hold, translated = false, onFault } = options;
    const terms = termsOf(options);
    const { state } = this.#fn;
    if (!translated) {
      return this.#begin(hold, () => (data === undefined ? this.#fn.dma.read(iova, bytes, terms) : this.#fn.dma.write(iova, data, terms)));
    }
    // What is held is the request that uses the translation.
    if (hold !== undefined) await state.mover.translated(this.#fn, { data, ...terms }, iova);
    const pageRequests = onFault === 'page-request';
    const move = { iova, bytes, data, ...terms, translated, pageRequests };
    const operate = async (): Promise<DmaResult> => resultOf(await state.move(this.#fn, move), iova);
    return pageRequests && hold === undefined ? operate() : this.#begin(hold, operate);
  }

  #begin(hold: ModelOptions['hold'], operate: () => Promise<DmaResult>): Promise<DmaResult> {
    if (hold === undefined) return this.#counted(operate);
    const begun = this.#begun.then(async () => {
      const others = (await this.#dev.ledger()).length;
      await this.#dev.faults.arm('hold', { point: hold });
      const ended = this.#counted(operate);
      await Promise.race([untilInFlight(this.#dev, others + 1), ended]);
      return { ended };
    });
    this.#begun = begun.catch(() => undefined);
    return begun.then(({ ended }) => ended);
  }

  async #counted(operate: () => Promise<DmaResult>): Promise<DmaResult> {
    this.#open++;
    try {
      return await operate();
    } finally {
      this.#open--;
    }
  }
}

/** Of an operation's options, those that say for whom it is. */
function termsOf({ pasid, privileged, execute }: ModelOptions): Pick<ModelOptions, 'pasid' | 'privileged' | 'execute'> {
  return {
    ...(pasid === undefined ? {} : { pasid }),
    ...(privileged === undefined ? {} : { privileged }),
    ...(execute === undefined ? {} : { execute }),
  };
}

function resultOf(moved: Moved, iova: bigint): DmaResult {
  return {
    ...moved,
    requests: 1,
    failedIova: moved.outcome === 'performed' ? undefined : iova + BigInt(moved.bytes),
    grant: undefined,
    grants: undefined,
    elapsedMs: undefined,
    absentOwner: undefined,
  };
}
