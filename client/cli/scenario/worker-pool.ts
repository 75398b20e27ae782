/** Hands jobs to child processes, one at a time to each, and gives the results in the order of the jobs. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Job, JobResult } from './explore-job.ts';

/** The same file in the sources and in a built tree. */
const WORKER = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './explore-worker.ts' : './explore-worker.js', import.meta.url));

/** Machines die young by the hundred thousand: room for them saves a third of the collector's time. */
const YOUNG = '--max-semi-space-size=64';

/** `stop` is asked after each result; with true nothing more is begun. */
export async function runJobs(jobs: readonly Job[], workers: number, stop: (result: JobResult) => boolean): Promise<readonly JobResult[]> {
  const results: (JobResult | undefined)[] = jobs.map(() => undefined);
  let next = 0;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = fork(WORKER, { serialization: 'advanced', execArgv: [...process.execArgv, YOUNG] });
      let at = -1;
      const give = (): void => {
        at = next++;
        const job = jobs[at];
        if (job === undefined) child.disconnect();
        else child.send(job);
      };
      child.on('message', (result: JobResult) => {
        results[at] = result;
        if (stop(result)) next = jobs.length;
        give();
      });
      child.on('error', reject);
      child.on('exit', (code) => {
        if (at >= jobs.length) resolve();
        else reject(new Error(`a worker ended with ${code} while it explored ${jobs[at]?.name}`));
      });
      give();
    });
  await Promise.all(Array.from({ length: Math.min(workers, jobs.length) }, one));
  return results.filter((result) => result !== undefined);
}
