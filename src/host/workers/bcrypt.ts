/**
 * The bcrypt worker: hashes and compares passwords, one at a time, at low priority. A password stays in this thread's memory no longer than its
 * job.
 */
import { compareSync, encodeBase64, hashSync, truncates } from 'bcryptjs';
import { randomBytes } from 'node:crypto';
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import type { PasswordAnswer, PasswordJob } from '../password-worker.ts';

const saltBytes = 16;
/** Below the event loop and the disk threads, but not by much: clients wait for their logins, also where processors are few. */
const niceness = 3;

// On Linux this concerns the calling thread alone; elsewhere it would slow the whole process down.
if (process.platform === 'linux') {
  try {
    setPriority(0, niceness);
  } catch {
    // Not allowed here: then at equal priority.
  }
}

const port = parentPort as NonNullable<typeof parentPort>;
port.on('message', (job: PasswordJob) => {
  port.postMessage(answer(job));
});

function answer(job: PasswordJob): PasswordAnswer {
  const { id } = job;
  try {
    if (job.kind === 'compare') return { id, matches: compareSync(job.password, job.hash), hash: '', failure: undefined };
    if (truncates(job.password)) return { id, matches: false, hash: '', failure: 'too-long' };
    return { id, matches: false, hash: hashSync(job.password, salt(job.cost)), failure: undefined };
  } catch {
    // A stored hash that is none, or a password that is no text: no match, and no word about either.
    return { id, matches: false, hash: '', failure: job.kind === 'hash' ? 'stopped' : undefined };
  }
}

/** In the form that Go's library writes: `$2a$`. */
function salt(cost: number): string {
  return `$2a$${String(cost).padStart(2, '0')}$${encodeBase64(randomBytes(saltBytes), saltBytes)}`;
}
