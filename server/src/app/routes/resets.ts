/** Resets over REST: prepare, done, and the whole of it. Each takes an `Idempotency-Key`. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Bdf } from '../../core/base/index.ts';
import type { Access } from '../access.ts';
import type { MachineEntry, Machines } from '../machines.ts';
import type { Once } from '../once.ts';
import { Refusal } from '../refusal.ts';
import {
  DoneReport,
  FunctionParams,
  IdempotencyHeaders,
  PrepareReport,
  ResetDone,
  ResetFunction,
  ResetPrepare,
  ResetReport,
  responses,
} from '../schemas.ts';
import { place, submit } from '../submit.ts';
import { windowView } from '../views.ts';

const NS_PER_MS = 1e6;

type FunctionRequest = FastifyRequest<{ Params: { id: string; bdf: string } }>;

export function resetRoutes(instance: FastifyInstance, access: Access, machines: Machines, once: Once): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const common = { tags: ['reset'], params: FunctionParams, headers: IdempotencyHeaders };

  /** Does it once for each key of this caller, machine, function and path. */
  const answer = async (
    request: FunctionRequest,
    key: string | undefined,
    act: (host: MachineEntry['host'], bdf: Bdf) => Promise<unknown>,
  ) => {
    const { id, host } = machines.use(access.require(request, 'change'), request.params.id);
    const bdf = place(request.params.bdf);
    const scope = `${id} ${bdf} ${request.routeOptions.url} ${access.callerOf(request)}`;
    return (await once.run(key, scope, request.body, async () => ({ status: 200, body: await act(host, bdf) }))).body;
  };

  app.post(
    '/v1/machines/:id/functions/:bdf/reset-prepare',
    {
      schema: {
        ...common,
        summary: 'Open a reset window: gate, drain, fence',
        body: ResetPrepare,
        response: responses({ 200: PrepareReport }),
      },
    },
    async (request) => {
      const { token, deadlineMs, onDeadline = 'abort' } = request.body;
      const act = async (host: MachineEntry['host'], bdf: Bdf) =>
        windowView(await submit(host, { kind: 'reset-prepare', bdf, token, deadlineNs: nanoseconds(deadlineMs), onDeadline }));
      return (await answer(request, request.headers['idempotency-key'], act)) as PrepareReport;
    },
  );

  app.post(
    '/v1/machines/:id/functions/:bdf/reset-done',
    { schema: { ...common, summary: 'Close a reset window', body: ResetDone, response: responses({ 200: DoneReport }) } },
    async (request) => {
      const { token = '', all = false } = request.body;
      if (token === '' && !all) throw new Refusal('EINVAL', 'give the token of the window to close, or all: true', 'token');
      const act = async (host: MachineEntry['host'], bdf: Bdf) => {
        const { depth, skipped, warning, elapsedNs } = await submit(host, { kind: 'reset-done', bdf, token, all });
        return { depth, skipped, warning, elapsedNs };
      };
      return (await answer(request, request.headers['idempotency-key'], act)) as DoneReport;
    },
  );

  app.post(
    '/v1/machines/:id/functions/:bdf/reset',
    { schema: { ...common, summary: 'The whole of pci_reset_function', body: ResetFunction, response: responses({ 200: ResetReport }) } },
    async (request) => {
      const { method, window = true, deadlineMs, onDeadline = 'abort' } = request.body;
      const act = async (host: MachineEntry['host'], bdf: Bdf) => {
        const reply = await submit(host, { kind: 'reset', bdf, method, window, deadlineNs: nanoseconds(deadlineMs), onDeadline });
        return { method: reply.method, pendingTimedOut: reply.pendingTimedOut, warning: reply.warning, ...windowView(reply) };
      };
      return (await answer(request, request.headers['idempotency-key'], act)) as ResetReport;
    },
  );
}

function nanoseconds(ms: number): number {
  return Math.round(ms * NS_PER_MS);
}
