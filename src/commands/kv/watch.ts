import type { Event } from '../../api/gen/mvccpb.ts';
import type { WatchResponse } from '../../api/gen/etcdserverpb.ts';
import { EtcdError, WatchCanceledError } from '../../client/errors.ts';
import type { WatchBatch, Watcher } from '../../client/watch.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import { FlagError, Flags, HelpWanted } from '../frame/flags.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stderr, stdout } from '../frame/output.ts';
import { stopSignal } from '../frame/signals.ts';
import { rpcText } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { quote } from '../text/quote.ts';
import { splitLine } from '../text/words.ts';
import { interactiveWatchLine, watchLine, watchRange, type WatchLine } from './watch-request.ts';

/** Runs the command for one event; the exit code of etcdctl when it fails. */
async function runFor(event: Event, revision: number, exec: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const { spawn } = await import('node:child_process');
  const [file = '', ...args] = exec;
  const child = spawn(file, args, {
    stdio: 'inherit',
    env: {
      ...env,
      ETCD_WATCH_REVISION: String(revision),
      ETCD_WATCH_EVENT_TYPE: quote(event.type === 1 ? 'DELETE' : 'PUT'),
      ETCD_WATCH_KEY: quote(event.kv?.key ?? new Uint8Array(0)),
      ETCD_WATCH_VALUE: quote(event.kv?.value ?? new Uint8Array(0)),
    },
  });
  const failure = await new Promise<string | undefined>((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'ENOENT' ? `exec: ${quote(file)}: executable file not found in $PATH` : error.message),
    );
    child.on('close', (code, signal) => resolve(code === 0 ? undefined : signal === null ? `exit status ${code}` : `signal: ${signal}`));
  });
  if (failure === undefined) return;
  stderr(`command [${exec.map((w) => quote(w)).join(' ')}] error (${failure})\n`);
  throw new CommandError(ExitCode.Error, '');
}

async function show(inv: Invocation, batch: WatchBatch, exec: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const response: WatchResponse = batch.raw;
  if (batch.events.length === 0) {
    stdout(`progress notify: ${batch.revision}\n`);
    return;
  }
  inv.print('watch', response);
  if (exec.length > 0) for (const event of batch.events) await runFor(event, batch.revision, exec, env);
}

async function open(inv: Invocation, flags: Flags, line: WatchLine): Promise<Watcher> {
  const range = watchRange(flags, line.args);
  const client = await inv.client();
  return client.watchRange(range, {
    startRevision: flags.int('rev'),
    prevKv: flags.bool('prev-kv'),
    progressNotify: flags.bool('progress-notify'),
  });
}

/** Shows events until the watch ends, which is an error. */
async function follow(inv: Invocation, watcher: Watcher, exec: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  // In a shell Ctrl-C ends the watch, not the shell.
  const stop = inv.around.client === undefined ? undefined : stopSignal();
  stop?.addEventListener('abort', () => watcher.cancel());
  try {
    for await (const batch of watcher) await show(inv, batch, exec, env);
  } catch (error) {
    if (error instanceof WatchCanceledError) {
      stderr(`watch was canceled (${error.message})\n`);
      const last = watcher.canceledBy;
      if (last !== undefined) inv.print('watch', { ...last, cancelReason: error.compactRevision === 0 ? last.cancelReason : '' });
    } else if (error instanceof EtcdError) stderr(`watch was canceled (${rpcText(error)})\n`);
    else throw error;
  }
  if (stop?.aborted === true) return 130;
  throw new CommandError(ExitCode.Interrupted, 'watch is canceled by the server');
}

function namesOf(env: NodeJS.ProcessEnv): { readonly key: string; readonly rangeEnd: string } {
  return { key: env['ETCDCTL_WATCH_KEY'] ?? '', rangeEnd: env['ETCDCTL_WATCH_RANGE_END'] ?? '' };
}

/** Lines of standard input while watches run beside. */
async function interactive(inv: Invocation, env: NodeJS.ProcessEnv): Promise<number> {
  const client = await inv.client();
  let failed: ((error: unknown) => void) | undefined;
  const failure = new Promise<never>((_, reject) => (failed = reject));
  failure.catch(() => undefined);
  const names = namesOf(env);
  const flagSpecs = (watch.flags ?? []).filter((f) => f.own !== true);
  const one = async (text: string): Promise<void> => {
    const words = splitLine(text.trim());
    const [name] = words;
    if (name === undefined || (name !== 'watch' && name !== 'progress')) {
      stderr(
        name === undefined ? `Invalid command: ${text} (watch and progress supported)\n` : `Invalid command ${text} (only support watch)\n`,
      );
      return;
    }
    if (name === 'progress') {
      client.requestWatchProgress();
      return;
    }
    const flags = new Flags(flagSpecs);
    try {
      flags.parse(words.slice(1));
    } catch (error) {
      if (error instanceof HelpWanted) throw badArgs('pflag: help requested');
      if (error instanceof FlagError) throw badArgs(error.message);
      throw error;
    }
    const dash = words.includes('--');
    if (words.length < 2 && names.key === '') {
      stderr(`Invalid command ${text} (command type or key is not provided)\n`);
      return;
    }
    let watcher: Watcher;
    const line = interactiveWatchLine(flags.args, flags.argsBeforeDash, names, dash);
    try {
      watcher = await open(inv, flags, line);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      stderr(`Invalid command ${text} (${error.message})\n`);
      return;
    }
    follow(inv, watcher, line.exec, env).catch((error: unknown) => {
      if (!(error instanceof CommandError && error.exit === ExitCode.Interrupted)) failed?.(error);
    });
  };
  const { createInterface } = await import('node:readline');
  // The terminal itself edits and echoes the lines, and makes a signal of Ctrl-C.
  const lines = createInterface({ input: process.stdin, terminal: false });
  const read = (async (): Promise<never> => {
    for await (const text of lines) await one(text);
    throw new CommandError(ExitCode.InvalidInput, 'error reading watch request line: EOF');
  })();
  return Promise.race([read, failure]);
}

export const watch: CommandSpec = {
  name: 'watch',
  args: '[key] [range_end] [-- command [args...]]',
  group: 'Key-value commands',
  summary: 'Follow the changes of keys',
  about: [
    'Prints each change of a key, of the keys in [key, range_end), or of all keys with a prefix, as it happens, or from an earlier revision on.',
    'A command behind `--` runs once for each event, with ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE in its environment.',
    'Without a key, ETCDCTL_WATCH_KEY and ETCDCTL_WATCH_RANGE_END name it. A watch survives the loss of a member: it goes on at another one where it stopped.',
  ],
  examples: [
    { command: 'watch config/ --prefix --prev-kv', about: 'changes below config/, with what was there before' },
    { command: "watch jobs/ --prefix --rev=1 -- sh -c 'echo $ETCD_WATCH_KEY'", about: 'a command for every event since the beginning' },
  ],
  flags: [
    { name: 'interactive', short: 'i', type: 'bool', usage: 'read `watch` and `progress` lines from standard input' },
    { name: 'prefix', type: 'bool', usage: 'all keys that begin with the given one' },
    { name: 'prev-kv', type: 'bool', usage: 'show the pair as it was before, too' },
    { name: 'progress-notify', type: 'bool', usage: 'have the server tell now and then how far the watch is' },
    { name: 'rev', type: 'int', usage: 'begin at this revision' },
  ],
  complete: ['keys', 'keys'],
  async run(inv) {
    const env = inv.around.env;
    if (inv.flags.bool('interactive')) return interactive(inv, env);
    const names = namesOf(env);
    const line = watchLine(inv.args, inv.flags.argsBeforeDash, names, inv.flags.argsBeforeDash >= 0);
    return follow(inv, await open(inv, inv.flags, line), line.exec, env);
  },
};
