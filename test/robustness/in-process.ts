/** A member in this process on any disk: a copy of a data directory in memory, or one that fails. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Disk } from '../../src/base/disk.ts';
import { silentLog } from '../../src/base/log.ts';
import { MemoryDisk } from '../../src/base/memory-disk.ts';
import { Client } from '../../src/client/index.ts';
import { PasswordWorker } from '../../src/host/password-worker.ts';
import { RealClock } from '../../src/host/real-clock.ts';
import { RealRandom } from '../../src/host/real-random.ts';
import { parseTokenOptions } from '../../src/server/auth/token-options.ts';
import { buildConfig } from '../../src/server/config/build-config.ts';
import { readOptions } from '../../src/server/config/options.ts';
import { startServer } from '../../src/server/server.ts';
import { makeTokens } from '../../src/server/tokens.ts';

export interface Running {
  readonly client: Client;
  /** What ended the member by itself, if anything did. */
  readonly fatal: Promise<Error>;
  stop(): Promise<void>;
}

const noFiles = (): never => {
  throw new Error('no files');
};

/** Rejects with what refuses the start. */
export async function startOn(
  disk: Disk,
  options: { readonly dataDir?: string; readonly args?: readonly string[] } = {},
): Promise<Running> {
  const url = 'http://127.0.0.1:0';
  const argv = [
    `--data-dir=${options.dataDir ?? 'data'}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    '--listen-peer-urls=http://127.0.0.1:0',
    ...(options.args ?? []),
  ];
  const { config } = buildConfig(readOptions({ argv, env: {}, readFile: noFiles, parseYaml: noFiles }));
  const clock = new RealClock();
  const random = new RealRandom();
  let failed: (error: Error) => void = () => undefined;
  const fatal = new Promise<Error>((resolve) => (failed = resolve));
  const server = await startServer({
    config,
    disk,
    clock,
    random,
    log: silentLog,
    hasher: new PasswordWorker(),
    tokens: makeTokens(parseTokenOptions('simple'), { clock, random, simpleTtlMs: 300_000, readFile: noFiles }),
    runtime: { name: 'test', os: 'linux', arch: 'amd64', cpus: 1, argv: [] },
    listen: false,
    onFatal: failed,
  });
  const client = new Client({ endpoints: ['in-process'], connect: () => server.channel() });
  return {
    client,
    fatal,
    async stop() {
      client.close();
      await server.stop();
    },
  };
}

/** Files below a directory by relative path. */
export function readTree(dir: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(dir, name);
    if (statSync(path).isFile()) files.set(name, readFileSync(path));
  }
  return files;
}

/** A disk in memory that has these files below `data`. */
export function diskOf(files: ReadonlyMap<string, Uint8Array>): MemoryDisk {
  const disk = new MemoryDisk(new RealClock());
  disk.mkdir('data', 0o700);
  for (const [name, bytes] of files) {
    const path = `data/${name}`;
    disk.mkdir(path.slice(0, path.lastIndexOf('/')), 0o700);
    const file = disk.open(path, { write: true, create: true });
    file.write(bytes, 0);
    file.close();
  }
  return disk;
}
