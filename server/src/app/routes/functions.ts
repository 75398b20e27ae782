/** `/v1/machines/{id}/functions` and `/faults`: what a script reads and drives. The same commands as on the socket. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import type { Access } from '../access.ts';
import type { Machines } from '../machines.ts';
import { FaultList, FunctionDetail, FunctionList, FunctionParams, MachineParams, responses } from '../schemas.ts';
import { place, submit } from '../submit.ts';
import { faultView, functionDetailView, functionView } from '../views.ts';

export function functionRoutes(instance: FastifyInstance, access: Access, machines: Machines): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const tags = ['functions'];

  app.get(
    '/v1/machines/:id/functions',
    { schema: { tags, summary: 'List functions, by address', params: MachineParams, response: responses({ 200: FunctionList }) } },
    async (request) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      const { functions } = await submit(host, { kind: 'function-list' });
      return { functions: functions.map(functionView) };
    },
  );

  app.get(
    '/v1/machines/:id/functions/:bdf',
    { schema: { tags, summary: 'Describe a function', params: FunctionParams, response: responses({ 200: FunctionDetail }) } },
    async (request) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      const { function: found } = await submit(host, { kind: 'function-info', bdf: place(request.params.bdf) });
      return functionDetailView(found);
    },
  );

  app.get(
    '/v1/machines/:id/faults',
    {
      schema: { tags, summary: 'Fault records of the IOMMU, oldest first', params: MachineParams, response: responses({ 200: FaultList }) },
    },
    async (request) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      const { records, overflow } = await submit(host, { kind: 'fault-records' });
      return { faults: records.map(faultView), overflow };
    },
  );
}
