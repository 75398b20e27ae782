/** `/v1/machines`: make, list, describe, delete. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { requireName, type Access } from '../access.ts';
import { machineRequest } from '../machine-request.ts';
import { labelled, type MachineEntry, type Machines } from '../machines.ts';
import type { Once } from '../once.ts';
import { CreateMachine, IdempotencyHeaders, Machine, MachineList, MachineParams, MachineQuery, responses } from '../schemas.ts';
import { opens } from '../tokens.ts';

export interface MachineRoutes {
  readonly access: Access;
  readonly machines: Machines;
  readonly once: Once;
  /** How machines are reached from outside; absent: as the request was. */
  readonly publicUrl?: string | undefined;
}

export function machineRoutes(instance: FastifyInstance, { access, machines, once, publicUrl }: MachineRoutes): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const view = (request: FastifyRequest, entry: MachineEntry): Machine => machineView(entry, socketBase(request, publicUrl));
  const tags = ['machines'];

  app.post(
    '/v1/machines',
    {
      schema: { tags, summary: 'Make a machine', headers: IdempotencyHeaders, body: CreateMachine, response: responses({ 201: Machine }) },
    },
    async (request, reply) => {
      const grant = access.require(request, 'change');
      const scope = `${access.callerOf(request)} /v1/machines`;
      const answer = await once.run(request.headers['idempotency-key'], scope, request.body, async () => {
        const wanted = machineRequest(request.body);
        requireName(grant, wanted.name);
        const { labels = {}, ttl, ephemeral = false, peerGraceMs } = request.body;
        const entry = machines.create(wanted, {
          labels,
          ttlSeconds: ttl,
          ephemeral,
          ...(peerGraceMs === undefined ? {} : { peerGraceMs }),
        });
        return { status: 201, body: view(request, entry), made: entry.id };
      });
      const made = answer.body as Machine;
      reply.code(201).header('location', `/v1/machines/${made.id}`);
      return made;
    },
  );

  app.get(
    '/v1/machines',
    { schema: { tags, summary: 'List machines, by age', querystring: MachineQuery, response: responses({ 200: MachineList }) } },
    (request) => {
      const grant = access.require(request, 'read');
      const wanted = [request.query.label ?? []].flat();
      const visible = machines.list().filter((entry) => opens(grant, entry.name, entry.id) && labelled(entry, wanted));
      return { machines: visible.map((entry) => view(request, entry)) };
    },
  );

  app.get(
    '/v1/machines/:id',
    { schema: { tags, summary: 'Describe a machine', params: MachineParams, response: responses({ 200: Machine }) } },
    (request) => view(request, machines.open(access.require(request, 'read'), request.params.id)),
  );

  app.delete(
    '/v1/machines/:id',
    {
      schema: { tags, summary: 'Delete a machine and close its sockets', params: MachineParams, response: responses({ 204: Type.Null() }) },
    },
    (request, reply) => {
      const entry = machines.open(access.require(request, 'change'), request.params.id);
      machines.delete(entry, 'the machine was deleted');
      reply.code(204);
      return null;
    },
  );
}

export function machineView(entry: MachineEntry, base: string): Machine {
  return {
    id: entry.id,
    name: entry.name,
    state: entry.crashed ? 'crashed' : 'up',
    source: entry.source,
    seed: entry.spec.seed,
    clock: entry.spec.clock,
    behaviour: entry.spec.behaviour,
    withoutFixes: [...(entry.spec.withoutFixes ?? [])],
    labels: { ...entry.labels },
    functions: entry.machine.functions,
    iommu: entry.spec.iommu !== undefined,
    ephemeral: entry.ephemeral,
    createdAt: entry.createdAt.toISOString(),
    expiresAt: entry.expiresAt?.toISOString() ?? null,
    sessions: entry.host.sessions,
    warnings: [...entry.warnings],
    socketUrl: `${base}/v1/machines/${entry.id}/socket`,
  };
}

/** `ws://HOST` as the caller reached this service, or the public address. */
export function socketBase(request: FastifyRequest, publicUrl: string | undefined): string {
  return (publicUrl ?? `${request.protocol}://${request.host}`).replace(/^http/, 'ws');
}
