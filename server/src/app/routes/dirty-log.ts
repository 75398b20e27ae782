/** Which memory of a machine is written, and what was. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Access } from '../access.ts';
import type { Machines } from '../machines.ts';
import type { Once } from '../once.ts';
import { IdempotencyHeaders, MachineParams, responses } from '../schemas.ts';
import { KeepDirtyLog, ReadDirtyLog, WrittenRanges } from '../state-schemas.ts';
import { writtenRanges } from '../state-views.ts';
import { submit } from '../submit.ts';

const PAGE_BYTES = 4096n;

export function dirtyLogRoutes(instance: FastifyInstance, access: Access, machines: Machines, once: Once): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const tags = ['state'];
  const params = MachineParams;

  app.post(
    '/v1/machines/:id/dirty-log',
    {
      schema: {
        tags,
        summary: 'Keep a log of the memory that is written from now on, or keep none',
        params,
        headers: IdempotencyHeaders,
        body: KeepDirtyLog,
        response: responses({ 204: Type.Null() }),
      },
    },
    async (request, reply) => {
      const { id, host } = machines.use(access.require(request, 'change'), request.params.id);
      const act = async () => {
        await submit(host, { kind: 'dirty-log-set', on: request.body.on });
        return { status: 204, body: null };
      };
      await once.run(request.headers['idempotency-key'], `${id} dirty-log ${access.callerOf(request)}`, request.body, act);
      reply.code(204);
      return null;
    },
  );

  app.post(
    '/v1/machines/:id/dirty-log/read',
    {
      schema: {
        tags,
        summary: 'What was written of a range of memory since it was last read',
        params,
        headers: IdempotencyHeaders,
        body: ReadDirtyLog,
        response: responses({ 200: WrittenRanges }),
      },
    },
    async (request) => {
      const { id, host } = machines.use(access.require(request, 'change'), request.params.id);
      const { bytes, clear = true } = request.body;
      const address = BigInt(request.body.address);
      const act = async () => {
        const { data } = await submit(host, { kind: 'dirty-log-read', address, bytes: BigInt(bytes), pageBytes: PAGE_BYTES, clear });
        return { status: 200, body: { ranges: writtenRanges(address, data) } };
      };
      const scope = `${id} read ${access.callerOf(request)}`;
      return (await once.run(request.headers['idempotency-key'], scope, request.body, act)).body as WrittenRanges;
    },
  );
}
