/** A machine as a file, and a machine made from one. */
import { createHash } from 'node:crypto';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { SNAPSHOT_BYTES_MAX } from '../../../../proto/limits.ts';
import { requireName } from '../access.ts';
import { Refusal } from '../refusal.ts';
import { IdempotencyHeaders, LoadQuery, Machine, MachineParams, SnapshotFile, responses } from '../schemas.ts';
import { machineView, socketBase, type MachineRoutes } from './machines.ts';

const BYTES = 'application/octet-stream';

export async function snapshotRoutes(parent: FastifyInstance, { access, machines, once, publicUrl }: MachineRoutes): Promise<void> {
  // A folder of its own for the parser: nobody else takes bytes.
  await parent.register((instance) => {
    const app = instance.withTypeProvider<TypeBoxTypeProvider>();
    const tags = ['machines'];
    app.addContentTypeParser(BYTES, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

    app.get(
      '/v1/machines/:id/snapshot',
      {
        schema: {
          tags,
          summary: 'Save a machine as it is now: docs/snapshots.md',
          params: MachineParams,
          response: responses({ 200: { description: 'The file', content: { [BYTES]: { schema: SnapshotFile } } } }),
        },
      },
      (request, reply) => {
        const entry = machines.use(access.require(request, 'read'), request.params.id);
        return reply.type(BYTES).send(machines.save(entry));
      },
    );

    app.post(
      '/v1/machines/snapshot',
      {
        bodyLimit: SNAPSHOT_BYTES_MAX,
        // Before so many bytes are read.
        onRequest: (request, _reply, done) => {
          access.require(request, 'change');
          done();
        },
        schema: {
          tags,
          summary: 'Make a machine from a file that one was saved to',
          headers: IdempotencyHeaders,
          querystring: LoadQuery,
          body: { content: { [BYTES]: { schema: SnapshotFile } } },
          response: responses({ 201: Machine }),
        },
      },
      async (request, reply) => {
        const grant = access.require(request, 'change');
        const { body: file } = request;
        if (!(file instanceof Uint8Array)) throw new Refusal('EINVAL', `send the file as ${BYTES}`, 'content-type', 415);
        const { name } = request.query;
        const key = request.headers['idempotency-key'];
        const asked = key === undefined ? undefined : { name, sha256: createHash('sha256').update(file).digest('base64') };
        const answer = await once.run(key, `${access.callerOf(request)} /v1/machines/snapshot`, asked, async () => {
          const entry = machines.load(file, name, { labels: {}, ttlSeconds: undefined, ephemeral: false }, (given) =>
            requireName(grant, given),
          );
          return { status: 201, body: machineView(entry, socketBase(request, publicUrl)), made: entry.id };
        });
        const made = answer.body as Machine;
        reply.code(201).header('location', `/v1/machines/${made.id}`);
        return made;
      },
    );
  });
}
