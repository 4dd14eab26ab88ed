/** `tsetcd server` (and the program called `etcd`): the process around a member. */
import { readFileSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { CorruptError } from '../server/storage/backend.ts';
import type { LogRotation } from '../base/log.ts';
import { DiskError } from '../base/disk.ts';
import { setFailpoints } from '../base/failpoint.ts';
import { createLog, type HostLog, openSink, type LogLevel, type Sink } from '../host/log.ts';
import { ExitCode, exitWith, keepDebuggerShut, keepHeapSmall, onStopSignal, onUncaught } from '../host/process.ts';
import { PasswordWorker } from '../host/password-worker.ts';
import { processFigures } from '../host/process-figures.ts';
import { RealClock } from '../host/real-clock.ts';
import { RealDisk } from '../host/real-disk.ts';
import { RealRandom } from '../host/real-random.ts';
import { startRuntimeFigures } from '../host/runtime-figures.ts';
import { TlsFilesError } from '../host/tls-files-error.ts';
import { storeBuilder } from '../host/store-builder.ts';
import { parseTokenOptions, TokenOptionsError } from '../server/auth/token-options.ts';
import { BootstrapError, isInitialized } from '../server/bootstrap/bootstrap.ts';
import { DataDirBusy, dataPaths, DataRefused } from '../server/bootstrap/data-dir.ts';
import { buildConfig, type BuiltConfig, logLevelOf } from '../server/config/build-config.ts';
import type { ServerConfig } from '../server/config/config.ts';
import { parseLogRotation } from '../server/config/log-rotation.ts';
import { ConfigError, type Options, readOptions } from '../server/config/options.ts';
import { helpText, usageText, versionText } from '../server/config/usage.ts';
import { CorruptionFound } from '../server/maintenance/corruption.ts';
import { MemberRemoved, type RunningServer, type ServerOptions, startServer } from '../server/server.ts';
import { makeTokens } from '../server/tokens.ts';
import { BackendFormatError } from '../server/storage/revlog/log-backend.ts';
import { WalError } from '../server/storage/wal/errors.ts';
import { headerTraceLine, setHeaderTrace, wantsHeaderTrace } from '../wire/header-trace.ts';
import { listenText, notifyInit } from './frame/daemon.ts';

export async function runServer(program: string, argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const runtime = {
    name: `node${process.versions.node}`,
    os: process.platform,
    arch: process.arch === 'x64' ? 'amd64' : process.arch,
    cpus: availableParallelism(),
    argv: [process.argv[1] ?? 'etcd', ...process.argv.slice(2)],
  };
  const { options, log, config } = await configure(program, argv, env, runtime.argv);
  if (options.values.get('help') === true || options.values.get('h') === true) {
    process.stdout.write(helpText(program));
    process.exit(0);
  }
  if (options.values.get('version') === true) {
    process.stdout.write(versionText({ runtime: runtime.name, os: runtime.os, arch: runtime.arch }));
    process.exit(0);
  }

  onUncaught(log, exitCodeOf);
  // Debug lines on and off while it runs, for members without --enable-pprof.
  process.on('SIGUSR2', () => setLogLevel(log, log.level === 'debug' ? config.config.logLevel : 'debug'));
  await bindFailpoints(log, env);
  if (wantsHeaderTrace(env.GODEBUG)) {
    setHeaderTrace((name, value, sensitive) => writeSync(2, headerTraceLine(Date.now(), name, value, sensitive)));
  }
  const { config: described } = config;
  const disk = new RealDisk({ unsafeNoFsync: described.unsafeNoFsync });
  let initialized = false;
  try {
    initialized = disk.stat(`${described.dataDir}/member`) !== undefined;
  } catch (error) {
    const why = fileWords({ code: (error as DiskError).code });
    log.fatal('failed to list data directory', { dir: described.dataDir, error: `open ${described.dataDir}: ${why}` });
    exitWith(log, ExitCode.Startup);
  }
  if (initialized) log.info('server has already been initialized', { 'data-dir': described.dataDir, 'dir-type': 'member' });
  else log.info('Initialize and start etcd server', { 'data-dir': described.dataDir, 'dir-type': 'empty' });

  const clock = new RealClock();
  const random = new RealRandom();
  let running: RunningServer | undefined;
  let stopping = false;
  try {
    const server = await discovered(described, disk, log);
    const serverOptions: ServerOptions = {
      config: server,
      disk,
      clock,
      random,
      log,
      hasher: new PasswordWorker(),
      tokens: makeTokens(parseTokenOptions(server.authToken), {
        clock,
        random,
        simpleTtlMs: server.authTokenTtlSeconds * 1000,
        readFile: (path) => {
          try {
            return readFileSync(path);
          } catch (error) {
            throw new TokenOptionsError(`open ${path}: ${fileWords(error)}`);
          }
        },
      }),
      runtime,
      figures: processFigures,
      runtimeFigures: startRuntimeFigures(),
      debugVars: () => ({ file_descriptor_limit: processFigures.maxFds(), memstats: memoryStats() }),
      logLevel: {
        level: () => log.level,
        setLevel: (name) => setLogLevel(log, name),
      },
      buildStore: storeBuilder({ unsafeNoFsync: server.unsafeNoFsync }),
      listen: true,
      databaseFile: true,
      upgradesEtcd: basename(runtime.argv[0] ?? '') === 'etcd',
      // Waiting for a leader can take for ever: it can be stopped meanwhile.
      onBuilt(server) {
        running = server;
      },
      onFatal(error) {
        if (error instanceof MemberRemoved) {
          // As etcd: the member ends by itself and in order.
          void running?.stop().finally(() => exitWith(log, 0));
          return;
        }
        log.fatal('stopping the member: it cannot go on', { error, code: (error as { code?: unknown }).code });
        exitWith(log, exitCodeOf(error));
      },
    };
    const starting = startServer(serverOptions);
    keepDebuggerShut(log);
    onStopSignal(log, async () => {
      stopping = true;
      const closing = {
        name: server.name,
        'data-dir': server.dataDir,
        'advertise-peer-urls': server.initialAdvertisePeerUrls,
        'advertise-client-urls': server.advertiseClientUrls,
      };
      log.info('closing etcd server', closing);
      await (running ?? (await starting)).stop();
      log.info('closed etcd server', closing);
    });
    running = await starting;
    keepHeapSmall();
  } catch (error) {
    if (stopping) return;
    startupFailure(log, error);
  }
  notifyInit(log, env);
}

/** A member that starts for the first time and is to find the others does so now. @throws BootstrapError */
async function discovered(config: ServerConfig, disk: RealDisk, log: HostLog): Promise<ServerConfig> {
  if (config.discovery === undefined || isInitialized(disk, dataPaths(config))) return config;
  const [{ discoverCluster }, { discoveryClient }] = await Promise.all([import('../server/discovery.ts'), import('./discovery-client.ts')]);
  return discoverCluster(config, log, discoveryClient);
}

/** Changes what the log writes from now on; false when there is no such level. */
function setLogLevel(log: HostLog, name: string): boolean {
  const level = logLevelOf(name);
  if (level === undefined) return false;
  if (level !== log.level) {
    log.warn('log level changed', { from: log.level, to: level });
    log.level = level as LogLevel;
  }
  return true;
}

/** Node's memory under the names of Go's `memstats` that have a counterpart. */
function memoryStats(): Readonly<Record<string, number>> {
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
  return { Sys: rss, HeapAlloc: heapUsed, HeapInuse: heapUsed, HeapSys: heapTotal, HeapIdle: heapTotal - heapUsed, OtherSys: external };
}

/** Off unless one of gofail's variables is set. */
async function bindFailpoints(log: HostLog, env: NodeJS.ProcessEnv): Promise<void> {
  if ((env.GOFAIL_FAILPOINTS ?? '') === '' && (env.GOFAIL_HTTP ?? '') === '') return;
  const { failpointsFromEnv } = await import('../host/failpoints.ts');
  try {
    setFailpoints(await failpointsFromEnv(env));
  } catch (error) {
    log.fatal('failed to set failpoints', { error });
    exitWith(log, ExitCode.Startup);
  }
}

interface Configured {
  readonly options: Options;
  readonly log: HostLog;
  readonly config: BuiltConfig;
}

/** Options, log and configuration; a bad command line or configuration ends the process here, in etcd's way. */
async function configure(program: string, words: readonly string[], env: NodeJS.ProcessEnv, args: readonly string[]): Promise<Configured> {
  const argv = words.filter((w) => w !== '--check-config');
  const fallback = createLog({ level: 'info', format: 'json', sinks: [openSink('default')] });
  const usesFile = (env.ETCD_CONFIG_FILE ?? '') !== '' || argv.some((a) => /^--?config-file(=|$)/.test(a));
  const yaml = usesFile ? await import('../server/config/yaml-text.ts') : undefined;
  let options: Options;
  try {
    options = readOptions({
      argv,
      env,
      readFile: (path) => {
        try {
          return readFileSync(path, 'utf8');
        } catch (error) {
          const code = (error as NodeJS.ErrnoException).code;
          throw new Error(`${code === 'EISDIR' ? 'read' : 'open'} ${path}: ${fileWords(error)}`, { cause: error });
        }
      },
      parseYaml: (text) => yaml?.parseYamlText(text),
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    configFailure(fallback, error, program, args);
  }
  if (options.values.get('help') === true || options.values.get('h') === true || options.values.get('version') === true) {
    return { options, log: fallback, config: undefined as never };
  }
  let log = fallback;
  try {
    if (argv.length < words.length) {
      const { explainConfig } = await import('./check-config.ts');
      process.stdout.write(explainConfig(options, { argv, env }));
      process.exit(0);
    }
    log = openConfiguredLog(options) ?? fallback;
    const config = buildConfig(options);
    for (const r of config.remarks) log[r.level](r.message, r.fields);
    log.info('Running: ', { args });
    return { options, log, config };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    configFailure(log, error, program, args);
  }
}

/** Undefined when the values are bad: the checks that follow say so on the fallback log. @throws ConfigError when an output cannot be opened */
function openConfiguredLog(options: Options): HostLog | undefined {
  const level = logLevelOf(options.values.get('log-level') as string);
  const format = options.values.get('log-format') as string;
  const outputs = options.values.get('log-outputs') as readonly string[];
  if (level === undefined || (format !== 'json' && format !== 'console') || outputs.includes('systemd/journal')) return undefined;
  const wanted = [...new Set(outputs.length === 0 ? ['default'] : outputs)];
  let rotation: LogRotation | undefined;
  try {
    if (options.values.get('enable-log-rotation') === true)
      rotation = parseLogRotation(wanted, options.values.get('log-rotation-config-json') as string);
  } catch {
    return undefined;
  }
  const sinks: Sink[] = [];
  for (const output of wanted) {
    if (output === '/dev/null') continue;
    try {
      sinks.push(openSink(output, rotation));
    } catch (error) {
      throw new ConfigError('verify', `open sink ${JSON.stringify(output)}: open ${output}: ${fileWords(error)}`);
    }
  }
  return createLog({ level: level as LogLevel, format, sinks });
}

/** Go's words for why a file cannot be opened. */
function fileWords(error: unknown): string {
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EISDIR: 'is a directory',
    ENOTDIR: 'not a directory',
    EACCES: 'permission denied',
  };
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return words[code] ?? code;
}

function configFailure(log: HostLog, error: ConfigError, program: string, args: readonly string[]): never {
  switch (error.kind) {
    case 'usage':
      process.stderr.write(`${error.message}\n${usageText(program)}\n`);
      exitWith(log, ExitCode.Usage);
    case 'panic':
      process.stderr.write(`${error.message}\n`);
      exitWith(log, ExitCode.Usage);
    case 'fatal':
      log.fatal(error.message, error.fields);
      exitWith(log, ExitCode.Startup);
    case 'verify':
      log.info('Running: ', { args });
      log.warn('failed to verify flags', { error: error.message });
      if (error.fields['advertise-client-urls'] === 'missing') log.warn('advertise client URLs are not set', { error: error.message });
      exitWith(log, ExitCode.Startup);
    case 'setup':
      log.info('Running: ', { args });
      log.fatal('discovery failed', { error: error.message });
      exitWith(log, ExitCode.Startup);
  }
}

function startupFailure(log: HostLog, error: unknown): never {
  if (error instanceof BootstrapError && error.discovery !== undefined) {
    const { token, endpoints } = error.discovery;
    const fields = { 'discovery-token': token, 'discovery-endpoints': endpoints, error };
    log.warn('failed to bootstrap; discovery token was already used', fields);
    log.warn('do not reuse discovery token; generate a new one to bootstrap a cluster');
  }
  // etcd says no more than this of bad token options.
  else if (error instanceof TokenOptionsError)
    log.fatal('discovery failed', { error: 'auth: invalid auth options', reason: error.message });
  else if (error instanceof BootstrapError || error instanceof CorruptionFound) log.fatal('discovery failed', { error });
  else if (
    error instanceof DataRefused ||
    error instanceof WalError ||
    error instanceof CorruptError ||
    error instanceof BackendFormatError
  )
    log.fatal('refused the data directory', { error });
  else if (error instanceof DataDirBusy) log.fatal('failed to lock the data directory', { error });
  else if (error instanceof DiskError) log.fatal('failed to use the data directory', { error, path: error.path, errno: error.code });
  else if (error instanceof TlsFilesError) log.fatal(error.summary, { error });
  else if (isListenError(error)) log.fatal('discovery failed', { error: listenText(error) });
  else log.fatal('failed to start', { error, stack: error instanceof Error ? error.stack : undefined });
  exitWith(log, exitCodeOf(error));
}

function isListenError(error: unknown): boolean {
  return error instanceof Error && (error as { syscall?: unknown }).syscall === 'listen';
}

function exitCodeOf(error: unknown): number {
  if (
    error instanceof DataRefused ||
    error instanceof CorruptionFound ||
    error instanceof CorruptError ||
    error instanceof BackendFormatError
  )
    return ExitCode.DataRefused;
  if (error instanceof WalError) return error.code === 'locked' ? ExitCode.Startup : ExitCode.DataRefused;
  if (error instanceof DiskError) return ExitCode.Disk;
  if (
    error instanceof BootstrapError ||
    error instanceof DataDirBusy ||
    error instanceof TokenOptionsError ||
    error instanceof TlsFilesError ||
    isListenError(error)
  )
    return ExitCode.Startup;
  return ExitCode.Internal;
}
