/** What a supervisor asks: does it live, may it be used. No token. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Health, responses } from '../schemas.ts';

export interface HealthOf {
  readonly version: string;
  readonly contract: string;
  draining(): boolean;
}

export function healthRoutes(instance: FastifyInstance, of: HealthOf): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const view = () => ({ status: of.draining() ? 'draining' : 'ok', product: 'iommud', version: of.version, contract: of.contract });
  app.get(
    '/healthz',
    { logLevel: 'warn', schema: { tags: ['service'], summary: 'The process lives', response: responses({ 200: Health }) } },
    view,
  );
  app.get(
    '/readyz',
    {
      logLevel: 'warn',
      schema: { tags: ['service'], summary: 'New calls are taken; 503 while draining', response: { 200: Health, 503: Health } },
    },
    (_request, reply) => {
      reply.code(of.draining() ? 503 : 200);
      return view();
    },
  );
}
