/** Functions that come and go over REST. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { formatBdf } from '../../core/base/index.ts';
import type { Access } from '../access.ts';
import { PlugFunctions, Plugged, UnplugQuery, Unplugged } from '../hotplug-schemas.ts';
import type { Machines } from '../machines.ts';
import type { Once } from '../once.ts';
import { FunctionParams, IdempotencyHeaders, MachineParams, responses } from '../schemas.ts';
import { place, submit } from '../submit.ts';

export function hotplugRoutes(instance: FastifyInstance, access: Access, machines: Machines, once: Once): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const tags = ['functions'];

  app.post(
    '/v1/machines/:id/functions',
    {
      schema: {
        tags,
        summary: 'Plug functions in',
        params: MachineParams,
        headers: IdempotencyHeaders,
        body: PlugFunctions,
        response: responses({ 200: Plugged }),
      },
    },
    async (request) => {
      const { id, host } = machines.use(access.require(request, 'change'), request.params.id);
      const { port, functions } = request.body;
      const scope = `${id} plug ${access.callerOf(request)}`;
      const act = async () => {
        const text = JSON.stringify({ functions });
        const reply = await submit(host, { kind: 'function-plug', port: port === undefined ? undefined : place(port), functions: text });
        return { status: 200, body: { functions: reply.functions.map(formatBdf), elapsedNs: reply.elapsedNs } };
      };
      return (await once.run(request.headers['idempotency-key'], scope, request.body, act)).body as Plugged;
    },
  );

  app.delete(
    '/v1/machines/:id/functions/:bdf',
    {
      schema: {
        tags,
        summary: 'Take a function out, or what is below a port',
        params: FunctionParams,
        querystring: UnplugQuery,
        response: responses({ 200: Unplugged }),
      },
    },
    async (request) => {
      const { host } = machines.use(access.require(request, 'change'), request.params.id);
      const { surprise, deadlineMs = '0' } = request.query;
      const bdf = place(request.params.bdf);
      const { kind: _, ...reply } = await submit(host, {
        kind: 'function-unplug',
        bdf,
        surprise: surprise === 'true',
        deadlineNs: Math.round(Number(deadlineMs) * 1e6),
      });
      return { ...reply, functions: reply.functions.map(formatBdf) };
    },
  );
}
