import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
/** What happens to a machine, as a file that grows. */
import type { FastifyInstance } from 'fastify';
import type { Access } from '../access.ts';
import type { Machines } from '../machines.ts';
import { RecordedStreams } from '../recorded-stream.ts';
import { MachineParams, RecordingFile, RecordingParams, responses } from '../schemas.ts';

const BYTES = 'application/octet-stream';
/** The number by which the recording is ended. */
const NUMBER = 'iommud-recording';

export function recordingRoutes(instance: FastifyInstance, access: Access, machines: Machines): void {
  const app = instance.withTypeProvider<TypeBoxTypeProvider>();
  const tags = ['machines'];
  const streams = new WeakMap<object, RecordedStreams>();

  app.get(
    '/v1/machines/:id/recording',
    {
      schema: {
        tags,
        summary: 'Record a machine until the recording is ended or the machine is gone: docs/recording.md',
        params: MachineParams,
        response: responses({ 200: { description: 'The file', content: { [BYTES]: { schema: RecordingFile } } } }),
      },
    },
    (request, reply) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      let ofHost = streams.get(host);
      if (ofHost === undefined) {
        ofHost = new RecordedStreams();
        streams.set(host, ofHost);
      }
      const { number, stream } = ofHost.start(host);
      reply.raw.once('close', () => stream.destroy());
      return reply.type(BYTES).header(NUMBER, String(number)).header('connection', 'close').send(stream);
    },
  );

  app.delete(
    '/v1/machines/:id/recordings/:recording',
    {
      schema: {
        tags,
        summary: 'End a recording',
        params: RecordingParams,
        response: responses({ 204: Type.Null({ description: 'What was recorded has its end, and its reader gets it' }) }),
      },
    },
    (request, reply) => {
      const { host } = machines.use(access.require(request, 'read'), request.params.id);
      (streams.get(host) ?? new RecordedStreams()).stop(Number(request.params.recording));
      reply.code(204);
      return null;
    },
  );
}
