/** Accesses by address over REST, as a root complex routes those of a processor: docs/bus-access.md. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { ModelError, join64 } from '../../core/base/index.ts';
import type { Access } from '../access.ts';
import { BusValue, BusWritten, ReadBus, WriteBus } from '../bus-schemas.ts';
import type { Machines } from '../machines.ts';
import type { Once } from '../once.ts';
import { IdempotencyHeaders, MachineParams, responses } from '../schemas.ts';
import { place, submit } from '../submit.ts';

const REGISTER_BITS = 12n;
const REGISTER_MAX = 0xfffn;

export function busRoutes(instance: FastifyInstance, access: Access, machines: Machines, once: Once): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const tags = ['bus'];
  const params = MachineParams;
  const headers = IdempotencyHeaders;

  // A read may change what it reads: it is no GET, and wants the right to change.
  app.post(
    '/v1/machines/:id/bus-read',
    {
      schema: {
        tags,
        summary: 'Read by address, as a processor does',
        params,
        headers,
        body: ReadBus,
        response: responses({ 200: BusValue }),
      },
    },
    async (request) => {
      const { id, host } = machines.use(access.require(request, 'change'), request.params.id);
      const act = async () => {
        const { valueLow, valueHigh } = await submit(host, { kind: 'bus-read', ...whereOf(request.body) });
        return { status: 200, body: { value: `0x${join64(valueLow, valueHigh).toString(16)}` } };
      };
      const scope = `${id} bus-read ${access.callerOf(request)}`;
      return (await once.run(request.headers['idempotency-key'], scope, request.body, act)).body as BusValue;
    },
  );

  app.post(
    '/v1/machines/:id/bus-write',
    {
      schema: {
        tags,
        summary: 'Write by address, as a processor does',
        params,
        headers,
        body: WriteBus,
        response: responses({ 200: BusWritten }),
      },
    },
    async (request) => {
      const { id, host } = machines.use(access.require(request, 'change'), request.params.id);
      const value = BigInt(request.body.value);
      const halves = { valueLow: Number(BigInt.asIntN(32, value)), valueHigh: Number(BigInt.asIntN(32, value >> 32n)) };
      const act = async () => {
        const { elapsedNs } = await submit(host, { kind: 'bus-write', ...whereOf(request.body), ...halves });
        return { status: 200, body: { elapsedNs } };
      };
      const scope = `${id} bus-write ${access.callerOf(request)}`;
      return (await once.run(request.headers['idempotency-key'], scope, request.body, act)).body as BusWritten;
    },
  );
}

function whereOf({ space, config, address: text, bytes = 4 }: Omit<WriteBus, 'value'>) {
  const address = BigInt(text);
  if (config === undefined) return { space: space ?? ('memory' as const), address, bytes };
  if (space !== undefined) throw new ModelError('EINVAL', 'config and space say two things; give one of them', 'space');
  if (address > REGISTER_MAX) throw new ModelError('EINVAL', `${text} is no register of configuration space: 0x0 to 0xfff`, 'address');
  return { space: 'config' as const, address: (BigInt(place(config)) << REGISTER_BITS) | address, bytes };
}
