/** `/v1/machines/{id}/socket`: the way in to a machine. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { WebSocketTransport } from '../../transport/index.ts';
import type { Access } from '../access.ts';
import type { MachineEntry, Machines } from '../machines.ts';
import { Refusal } from '../refusal.ts';
import { opens, type Grant } from '../tokens.ts';

export const SUBPROTOCOL = 'iommud.v1';

type SocketRequest = FastifyRequest<{ Params: { id: string } }>;

export function socketRoutes(app: FastifyInstance, access: Access, machines: Machines): void {
  /** With a token still to come, which machines there are is not told. */
  const find = (request: SocketRequest): MachineEntry => {
    const grant = access.grantOf(request);
    if (grant !== undefined) return machines.use(grant, request.params.id);
    const entry = machines.find(request.params.id);
    if (entry === undefined)
      throw new Refusal('ENODEV', `there is no machine '${request.params.id}', or no token was sent for it`, 'machine');
    return entry;
  };

  app.route<{ Params: { id: string } }>({
    method: 'GET',
    url: '/v1/machines/:id/socket',
    // Everything is refused before the upgrade, while there is a status to refuse it with.
    preValidation: async (request) => {
      if (!request.ws) throw new Refusal('EPROTO', `this is a websocket; connect with subprotocol ${SUBPROTOCOL}`, 'upgrade', 426);
      const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
      if (!offered.includes(SUBPROTOCOL)) {
        throw new Refusal(
          'EPROTO',
          `offer subprotocol ${SUBPROTOCOL}; what was offered: ${offered.join(', ') || 'none'}`,
          'sec-websocket-protocol',
        );
      }
      find(request);
    },
    handler: (_request, reply) => reply.code(426).send(),
    wsHandler: (socket, request) => {
      const entry = find(request);
      const fromHeader = access.grantOf(request);
      entry.host.open(
        new WebSocketTransport(socket, request.raw.socket),
        (token) => {
          const grant = fromHeader ?? (token === undefined ? undefined : access.grantOfToken(token));
          return grant !== undefined && mayEnter(grant, entry) ? { roles: grant.roles } : undefined;
        },
        // Not before: a stranger's socket must not become the one that the machine lives with.
        () => machines.joined(entry, socket),
      );
    },
  });
}

function mayEnter(grant: Grant, entry: MachineEntry): boolean {
  return opens(grant, entry.name, entry.id);
}
