/** The service in a process of its own. */
import { startServer } from '../../../../server/src/app/index.ts';
import { announce } from '../../harness/index.ts';

const server = await startServer({ host: '127.0.0.1', port: 0, logLevel: 'silent' });
announce(Number(new URL(server.url).port));
