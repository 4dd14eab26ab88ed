/** The event loop's side of the bcrypt worker: a bounded queue in front of one thread, which is started when it is first needed. */
import { Worker } from 'node:worker_threads';
import { workerUrl } from './worker-url.ts';

/** Jobs in the worker and before it; more are refused at once. At 60 ms each the last one waits about four seconds, less than a client does. */
export const passwordQueueMax = 64;

export type PasswordFailure = 'busy' | 'too-long' | 'stopped';

export type PasswordJob =
  | { readonly id: number; readonly kind: 'hash'; readonly password: string; readonly cost: number }
  | { readonly id: number; readonly kind: 'compare'; readonly password: string; readonly hash: string };

export interface PasswordAnswer {
  readonly id: number;
  readonly failure: PasswordFailure | undefined;
  readonly hash: string;
  readonly matches: boolean;
}

type Done = (answer: PasswordAnswer) => void;

/** What the auth room calls a PasswordHasher. */
export class PasswordWorker {
  readonly #waiting = new Map<number, Done>();
  readonly #queueMax: number;
  #worker: Worker | undefined;
  #nextId = 1;
  #closed = false;
  /** Answered and refused jobs since the start. */
  readonly stats = { served: 0, refused: 0 };

  constructor(options: { readonly queueMax?: number } = {}) {
    this.#queueMax = options.queueMax ?? passwordQueueMax;
  }

  hash(password: string, cost: number, done: (failure: PasswordFailure | undefined, hash: string) => void): void {
    this.#submit({ id: this.#nextId++, kind: 'hash', password, cost }, (a) => {
      done(a.failure, a.hash);
    });
  }

  compare(password: string, hash: string, done: (failure: PasswordFailure | undefined, matches: boolean) => void): void {
    this.#submit({ id: this.#nextId++, kind: 'compare', password, hash }, (a) => {
      done(a.failure, a.matches);
    });
  }

  close(): void {
    this.#closed = true;
    void this.#worker?.terminate();
    this.#lose();
  }

  #submit(job: PasswordJob, done: Done): void {
    const failure = this.#closed ? 'stopped' : this.#waiting.size >= this.#queueMax ? 'busy' : undefined;
    if (failure !== undefined) {
      this.stats.refused++;
      done({ id: job.id, failure, hash: '', matches: false });
      return;
    }
    this.#waiting.set(job.id, done);
    const worker = (this.#worker ??= this.#start());
    // Waiting callers hold the process, an idle worker does not.
    worker.ref();
    worker.postMessage(job);
  }

  #start(): Worker {
    const worker = new Worker(workerUrl('bcrypt'));
    worker.on('message', (answer: PasswordAnswer) => {
      const done = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (this.#waiting.size === 0) worker.unref();
      this.stats.served++;
      done?.(answer);
    });
    // A dead worker fails what it had; the next job starts another.
    worker.on('error', () => {
      if (this.#worker === worker) this.#lose();
    });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#lose();
    });
    return worker;
  }

  #lose(): void {
    this.#worker = undefined;
    const lost = [...this.#waiting];
    this.#waiting.clear();
    for (const [id, done] of lost) done({ id, failure: 'stopped', hash: '', matches: false });
  }
}
