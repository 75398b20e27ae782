/** Hands jobs to worker threads, one at a time to each, and gives the results in the order of the jobs. */
import { Worker } from 'node:worker_threads';
import type { Job, JobResult } from './explore-job.ts';

/** The same file in the sources and in a built tree. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './explore-worker.ts' : './explore-worker.js', import.meta.url);

/** `stop` is asked after each result; with true nothing more is begun. */
export async function runJobs(jobs: readonly Job[], workers: number, stop: (result: JobResult) => boolean): Promise<readonly JobResult[]> {
  const results: (JobResult | undefined)[] = jobs.map(() => undefined);
  let next = 0;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(WORKER);
      let at = -1;
      const give = (): void => {
        at = next++;
        const job = jobs[at];
        if (job !== undefined) worker.postMessage(job);
        else worker.terminate().then(() => resolve(), reject);
      };
      worker.on('message', (result: JobResult) => {
        results[at] = result;
        if (stop(result)) next = jobs.length;
        give();
      });
      worker.on('error', reject);
      give();
    });
  await Promise.all(Array.from({ length: Math.min(workers, jobs.length) }, one));
  return results.filter((result) => result !== undefined);
}
