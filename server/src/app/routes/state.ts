/** What a machine is in, and what drives it besides resets: groups, domains, ledgers, events, its clock, faults on purpose. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Access } from '../access.ts';
import { eventStream } from '../event-stream.ts';
import type { Machines } from '../machines.ts';
import type { Once } from '../once.ts';
import { ArmedFaultList, FunctionParams, IdempotencyHeaders, MachineParams, closed, responses } from '../schemas.ts';
import { AdvanceClock, ArmFault, Armed, ArmedParams, ClockState, DomainList, GroupList, Ledger, Status } from '../state-schemas.ts';
import { domainDetailView, groupView, ledgerView, statusView } from '../state-views.ts';
import { place, submit } from '../submit.ts';
import { armedFaultView } from '../views.ts';

const MS_NS = 1e6;

export function stateRoutes(instance: FastifyInstance, access: Access, machines: Machines, once: Once): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const tags = ['state'];
  const params = MachineParams;

  app.get(
    '/v1/machines/:id/status',
    { schema: { tags, summary: 'Who takes part, what each waits for, and since when', params, response: responses({ 200: Status }) } },
    async (request) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      return statusView(await submit(host, { kind: 'machine-status' }), host.status());
    },
  );

  app.get(
    '/v1/machines/:id/groups',
    { schema: { tags, summary: 'IOMMU groups', params, response: responses({ 200: GroupList }) } },
    async (request) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      const { functions } = await submit(host, { kind: 'function-list' });
      // One member of each.
      const members = new Map(functions.filter(({ group }) => group >= 0).map(({ group, bdf }) => [group, bdf]));
      const groups = await Promise.all([...members.values()].map(async (bdf) => (await submit(host, { kind: 'group-info', bdf })).group));
      return { groups: groups.map(groupView).toSorted((a, b) => a.group - b.group) };
    },
  );

  app.get(
    '/v1/machines/:id/domains',
    { schema: { tags, summary: 'Domains, and who has each', params, response: responses({ 200: DomainList }) } },
    async (request) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      const { domains } = await submit(host, { kind: 'domain-list' });
      return { domains: domains.map(domainDetailView) };
    },
  );

  app.get(
    '/v1/machines/:id/functions/:bdf/ledger',
    { schema: { tags, summary: 'What the function has in flight', params: FunctionParams, response: responses({ 200: Ledger }) } },
    async (request) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      const { entries } = await submit(host, { kind: 'ledger', bdf: place(request.params.bdf) });
      return { entries: entries.map(ledgerView) };
    },
  );

  eventRoutes(instance, access, machines);
  clockRoutes(instance, access, machines, once);
  faultRoutes(instance, access, machines, once);
}

function eventRoutes(instance: FastifyInstance, access: Access, machines: Machines): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const tags = ['state'];
  const params = MachineParams;

  app.get(
    '/v1/machines/:id/events',
    {
      schema: {
        tags,
        summary: 'Events from now on, as server-sent events (text/event-stream)',
        description: 'Each has its class as `event` and an object as `data`. To a slow reader `lost` says how many were dropped.',
        params,
        querystring: Type.Object(
          { classes: Type.Optional(Type.String({ description: 'With commas between: fault, interrupt, window, log, … Absent: all' })) },
          closed,
        ),
        response: responses({ 200: { description: 'text/event-stream' } }),
      },
    },
    (request, reply) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      const { classes } = request.query;
      const stream = eventStream(host, classes === undefined ? undefined : new Set(classes.split(',')));
      return reply.header('content-type', 'text/event-stream').header('cache-control', 'no-cache').send(stream);
    },
  );
}

function clockRoutes(instance: FastifyInstance, access: Access, machines: Machines, once: Once): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const tags = ['state'];
  const params = MachineParams;

  app.get(
    '/v1/machines/:id/clock',
    { schema: { tags, summary: "The machine's clock", params, response: responses({ 200: ClockState }) } },
    async (request) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      const { nowNs, movedNs } = await submit(host, { kind: 'clock-info' });
      return { nowNs, movedNs };
    },
  );

  app.post(
    '/v1/machines/:id/clock',
    {
      schema: {
        tags,
        summary: 'Move the clock, and ring what is due on the way',
        params,
        headers: IdempotencyHeaders,
        body: AdvanceClock,
        response: responses({ 200: ClockState }),
      },
    },
    async (request) => {
      const { id, host } = machines.use(access.require(request, 'change'), request.params.id);
      const { ms, force = false } = request.body;
      const act = async () => {
        const { nowNs, movedNs } = await submit(host, { kind: 'clock-advance', ns: Math.round(ms * MS_NS), force });
        return { status: 200, body: { nowNs, movedNs } };
      };
      const scope = `${id} clock ${access.callerOf(request)}`;
      return (await once.run(request.headers['idempotency-key'], scope, request.body, act)).body as ClockState;
    },
  );
}

function faultRoutes(instance: FastifyInstance, access: Access, machines: Machines, once: Once): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const tags = ['faults on purpose'];

  app.get(
    '/v1/machines/:id/faults-on-purpose',
    { schema: { tags, summary: 'Those that are armed', params: MachineParams, response: responses({ 200: ArmedFaultList }) } },
    async (request) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      const { faults } = await submit(host, { kind: 'fault-list' });
      return { faults: faults.map(armedFaultView) };
    },
  );

  app.post(
    '/v1/machines/:id/faults-on-purpose',
    {
      schema: {
        tags,
        summary: 'Arm a fault',
        params: MachineParams,
        headers: IdempotencyHeaders,
        body: ArmFault,
        response: responses({ 201: Armed }),
      },
    },
    async (request, reply) => {
      const { id, host } = machines.use(access.require(request, 'change'), request.params.id);
      const { fault, function: at, first = 1, count = 1, point, delayMs = 0, fromMs, untilMs, address, bytes, error } = request.body;
      const act = async () => {
        const { armed } = await submit(host, {
          kind: 'fault-arm',
          bdf: at === undefined ? undefined : place(at),
          fault,
          first,
          count,
          point,
          delayNs: Math.round(delayMs * MS_NS),
          fromNs: fromMs === undefined ? undefined : Math.round(fromMs * MS_NS),
          untilNs: untilMs === undefined ? undefined : Math.round(untilMs * MS_NS),
          error,
          ...(address === undefined && bytes === undefined ? {} : { range: { address: BigInt(address ?? 0), bytes: BigInt(bytes ?? 0) } }),
        });
        return { status: 201, body: { armed } };
      };
      const scope = `${id} arm ${access.callerOf(request)}`;
      const answer = await once.run(request.headers['idempotency-key'], scope, request.body, act);
      reply.code(201);
      return answer.body as Armed;
    },
  );

  app.delete(
    '/v1/machines/:id/faults-on-purpose/:armed',
    { schema: { tags, summary: 'Disarm a fault', params: ArmedParams, response: responses({ 204: Type.Null() }) } },
    async (request, reply) => {
      const { host } = machines.use(access.require(request, 'change'), request.params.id);
      await submit(host, { kind: 'fault-disarm', armed: Number(request.params.armed) });
      reply.code(204);
      return null;
    },
  );
}
