/** `/metrics` for Prometheus. */
import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../../observe/index.ts';
import type { Access } from '../access.ts';

export function metricsRoutes(app: FastifyInstance, access: Access, metrics: Metrics): void {
  app.get(
    '/metrics',
    { logLevel: 'warn', schema: { tags: ['service'], summary: 'Prometheus text', produces: ['text/plain'] } },
    async (request, reply) => {
      access.require(request, 'read');
      return reply.type(metrics.contentType).send(await metrics.text());
    },
  );
}
