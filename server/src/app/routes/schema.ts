/** The JSON Schema of topologies, where editors look for it. No token. */
import type { FastifyInstance } from 'fastify';
import { topologySchema } from '../topology/index.ts';

export function schemaRoutes(app: FastifyInstance): void {
  app.get('/v1/schemas/topology.json', { schema: { tags: ['service'], summary: 'JSON Schema of a topology' } }, (_request, reply) =>
    reply.type('application/schema+json').send(JSON.stringify(topologySchema)),
  );
}
