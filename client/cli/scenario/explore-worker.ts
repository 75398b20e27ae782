/** A worker of `iommud explore`: takes jobs one by one. */
import { parentPort } from 'node:worker_threads';
import { runJob, type Job } from './explore-job.ts';
import { scenarioRoom } from './scenario-room.ts';

const room = await scenarioRoom();
const port = parentPort;
port?.on('message', (job: Job) => port.postMessage(runJob(room, job)));
