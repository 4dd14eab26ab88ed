/**
 * The package entry `tsetcd/server`: a member inside this process, for tests and for programs that carry their own store.
 *
 *   import { startMember } from 'tsetcd/server';
 *   const member = await startMember();              // in memory, no ports
 *   await member.client.put('greeting', 'hello');
 *   await member.close();                            // leaves no handle behind
 */
import { Client } from '../client/client.ts';
import { MemoryDisk } from '../base/memory-disk.ts';
import { type Log, silentLog } from '../base/log.ts';
import { createLog, type HostLog, type LogLevel, openSink } from '../host/log.ts';
import { PasswordWorker } from '../host/password-worker.ts';
import { processFigures } from '../host/process-figures.ts';
import { RealClock } from '../host/real-clock.ts';
import { RealDisk } from '../host/real-disk.ts';
import { RealRandom } from '../host/real-random.ts';
import { storeBuilder } from '../host/store-builder.ts';
import { parseTokenOptions } from './auth/token-options.ts';
import { buildConfig } from './config/build-config.ts';
import { readOptions } from './config/options.ts';
import { type RunningServer, startServer } from './server.ts';
import { makeTokens } from './tokens.ts';
import type { Channel } from '../wire/channel.ts';

export interface StartMemberOptions {
  /** Directory on disk; in memory when absent. */
  readonly dataDir?: string | undefined;
  /** Listen for clients on a TCP port as well: `true` for a free one on 127.0.0.1, or a URL. */
  readonly listen?: boolean | string | undefined;
  readonly name?: string | undefined;
  /** Further flags of `tsetcd server`, without dashes: `{ 'max-txn-ops': 256 }`. */
  readonly flags?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Lines of the member's log; none by default. `stderr`, or a file path. */
  readonly log?: { readonly level?: LogLevel | undefined; readonly output?: string | undefined } | undefined;
  /** Told when the member's disk fails; it acknowledges nothing from then on. By default the process ends by an uncaught error. */
  readonly onFatal?: ((error: Error) => void) | undefined;
}

export interface EmbeddedMember {
  /** A client inside the process: no sockets. */
  readonly client: Client;
  /** A channel for the client library or for generated calls. */
  channel(): Channel;
  /** `http://127.0.0.1:port`, when it listens. */
  readonly endpoints: readonly string[];
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** Prometheus text. */
  metrics(): string;
  /** Stops in order; nothing stays open. */
  close(): Promise<void>;
}

/** Resolves once the member serves. @throws what keeps it from starting. */
export async function startMember(options: StartMemberOptions = {}): Promise<EmbeddedMember> {
  const url = typeof options.listen === 'string' ? options.listen : 'http://127.0.0.1:0';
  const listen = options.listen !== undefined && options.listen !== false;
  const name = options.name ?? 'embedded';
  const argv = [
    `--name=${name}`,
    `--data-dir=${options.dataDir ?? 'memory'}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    '--listen-peer-urls=http://127.0.0.1:0',
    ...Object.entries(options.flags ?? {}).map(([flag, value]) => `--${flag}=${String(value)}`),
  ];
  const noFiles = (): never => {
    throw new Error('a config file is for the program, not for an embedded member');
  };
  const { config } = buildConfig(readOptions({ argv, env: {}, readFile: noFiles, parseYaml: noFiles }));

  if (options.dataDir === undefined && (config.clientTls.auto || config.peerTls.auto))
    throw new Error('auto-tls keeps its certificate in a data directory: give one');

  const clock = new RealClock();
  const random = new RealRandom();
  const disk = options.dataDir === undefined ? new MemoryDisk(clock) : new RealDisk({ unsafeNoFsync: config.unsafeNoFsync });
  const hostLog: HostLog | undefined =
    options.log === undefined
      ? undefined
      : createLog({ level: options.log.level ?? 'info', format: 'json', sinks: [openSink(options.log.output ?? 'stderr')] });
  const log: Log = hostLog ?? silentLog;
  // Timers of a member hold no process open; a member that somebody waits for does.
  const alive = setInterval(() => {}, 1 << 30);
  let server: RunningServer;
  try {
    server = await startServer({
      config,
      disk,
      clock,
      random,
      log,
      hasher: new PasswordWorker(),
      tokens: makeTokens(parseTokenOptions(config.authToken), {
        clock,
        random,
        simpleTtlMs: config.authTokenTtlSeconds * 1000,
        readFile: noFiles,
      }),
      runtime: { name: `node${process.versions.node}`, os: process.platform, arch: process.arch, cpus: 1, argv: process.argv },
      figures: processFigures,
      ...(options.dataDir === undefined ? {} : { buildStore: storeBuilder({ unsafeNoFsync: config.unsafeNoFsync }) }),
      listen,
      onFatal:
        options.onFatal ??
        ((error) => {
          throw error;
        }),
    });
  } catch (error) {
    clearInterval(alive);
    hostLog?.close();
    throw error;
  }
  const client = new Client({ endpoints: ['in-process'], connect: () => server.channel() });
  let closing: Promise<void> | undefined;
  return {
    client,
    channel: () => server.channel(),
    endpoints: server.clientUrls,
    memberId: server.member.memberId,
    clusterId: server.member.clusterId,
    metrics: () => server.metrics.text(),
    close() {
      closing ??= (async () => {
        await client.close();
        await server.stop();
        clearInterval(alive);
        hostLog?.close();
      })();
      return closing;
    },
  };
}
