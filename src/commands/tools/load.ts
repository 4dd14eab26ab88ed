/** A write load for the checks: so many callers, each with one put at a time, at most so many puts a second. */
import { KV } from '../../api/gen/methods.ts';
import { Client } from '../../client/client.ts';
import type { ClientOptions } from '../../client/options.ts';

export interface Load {
  readonly prefix: string;
  readonly clients: number;
  /** Puts a second; Infinity = as fast as it goes. */
  readonly rate: number;
  /** Ends after so many puts. */
  readonly total: number;
  /** Ends after so many milliseconds. */
  readonly durationMs: number;
  readonly valueBytes: number;
  /** Called now and then with the puts done. */
  readonly onProgress?: (done: number) => void;
}

export interface LoadResult {
  readonly done: number;
  readonly seconds: number;
  readonly slowestSeconds: number;
  readonly stddevSeconds: number;
  readonly errors: ReadonlyMap<string, number>;
}

/** Connections that the callers share: more would only cost memory on both sides. */
const connectionsMax = 16;
/** Pause between two grants of the rate, ms. */
const tickMs = 10;

export async function runLoad(options: ClientOptions, load: Load): Promise<LoadResult> {
  const clients = Array.from({ length: Math.min(load.clients, connectionsMax) }, () => new Client(options));
  const value = Buffer.alloc(load.valueBytes, 'v');
  const began = performance.now();
  const end = began + load.durationMs;
  const errors = new Map<string, number>();
  let started = 0;
  let done = 0;
  let slowest = 0;
  let sum = 0;
  let squares = 0;
  const granted = (): number => Math.min(load.total, Math.ceil((load.rate * (performance.now() - began + tickMs)) / 1000));
  const caller = async (client: Client): Promise<void> => {
    for (;;) {
      if (started >= load.total || performance.now() >= end) return;
      if (load.rate !== Infinity && started >= granted()) {
        await new Promise((resolve) => setTimeout(resolve, tickMs));
        continue;
      }
      const key = `${load.prefix}${started++}`;
      const at = performance.now();
      try {
        await client.call(KV.put, { key: Buffer.from(key), value });
      } catch (error) {
        const text = (error as Error).message;
        errors.set(text, (errors.get(text) ?? 0) + 1);
      }
      const took = (performance.now() - at) / 1000;
      slowest = Math.max(slowest, took);
      sum += took;
      squares += took * took;
      load.onProgress?.(++done);
    }
  };
  await Promise.all(Array.from({ length: load.clients }, (_, i) => caller(clients[i % clients.length] as Client)));
  const seconds = (performance.now() - began) / 1000;
  for (const c of clients) c.close();
  const mean = done === 0 ? 0 : sum / done;
  return {
    done,
    seconds,
    slowestSeconds: slowest,
    stddevSeconds: done === 0 ? 0 : Math.sqrt(Math.max(0, squares / done - mean * mean)),
    errors,
  };
}
