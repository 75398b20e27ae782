/** A child process of `iommud explore`: takes jobs one by one, and ends with its parent. */
import { runJob, type Job } from './explore-job.ts';
import { scenarioRoom } from './scenario-room.ts';

const room = await scenarioRoom();
process.on('message', (job: Job) => process.send?.(runJob(room, job)));
process.on('disconnect', () => process.exit());
