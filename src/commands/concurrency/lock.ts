import { KV } from '../../api/gen/methods.ts';
import { Mutex, Session } from '../../client/concurrency.ts';
import { utf8Text } from '../../base/bytes.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import { rpcFailure } from '../frame/rpc-failure.ts';
import { aborted, stopSignal } from '../frame/signals.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { quote, toBytes } from '../text/quote.ts';

/** Runs the command; resolves with its exit code, or with words when it could not run to an exit. */
async function runCommand(words: readonly string[], env: NodeJS.ProcessEnv): Promise<{ code: number; text: string }> {
  const { spawn } = await import('node:child_process');
  const [file = '', ...args] = words;
  const child = spawn(file, args, { stdio: 'inherit', env });
  return new Promise((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      const text = error.code === 'ENOENT' ? `exec: ${quote(file)}: executable file not found in $PATH` : error.message;
      resolve({ code: ExitCode.Error, text });
    });
    child.on('close', (code, signal) => {
      if (signal !== null) resolve({ code: ExitCode.Error, text: `signal: ${signal}` });
      else resolve({ code: code ?? 0, text: code === 0 ? '' : `exit status ${code}` });
    });
  });
}

export const lock: CommandSpec = {
  name: 'lock',
  args: '<name> [-- command [args...]]',
  group: 'Concurrency commands',
  summary: 'Hold a lock',
  about: [
    'Waits for a lock, prints the key that holds it, and keeps it until interrupted; or runs a command while holding it and ends with its exit code.',
    'The command finds the key in ETCD_LOCK_KEY and its revision, which grows with each owner, in ETCD_LOCK_REV. When the lock is lost, the command is not stopped: guard its writes by that revision.',
  ],
  examples: [
    { command: 'lock backup -- ./backup.sh --full', about: 'one backup at a time' },
    { command: 'lock backup', about: 'until interrupted' },
  ],
  flags: [{ name: 'ttl', type: 'int', default: '10', usage: 'seconds after which the lock is free when its holder is gone' }],
  async run(inv) {
    const [name, ...words] = inv.args;
    if (name === undefined) throw badArgs('lock takes a lock name argument and an optional command to execute');
    const client = await inv.client();
    const stop = stopSignal();
    try {
      const session = await Session.create(client, { ttlSeconds: inv.flags.int('ttl') });
      const mutex = new Mutex(session, toBytes(name));
      await mutex.lock({ signal: stop });
      if (words.length > 0) {
        const env = { ...inv.around.env, ETCD_LOCK_KEY: utf8Text(mutex.key), ETCD_LOCK_REV: String(mutex.revision) };
        const { code, text } = await runCommand(words, env);
        await mutex.unlock();
        if (text !== '') throw new CommandError(code, text);
        return 0;
      }
      const held = await inv.call(KV.range, { key: mutex.key });
      if (held.kvs.length === 0) throw new CommandError(ExitCode.Error, 'lock lost on init');
      inv.print('get', held);
      await Promise.race([aborted(stop), aborted(session.lost)]);
      if (!stop.aborted) throw new CommandError(ExitCode.Error, 'session expired');
      await mutex.unlock();
      return 0;
    } catch (error) {
      if (stop.aborted && !(error instanceof CommandError)) throw new CommandError(ExitCode.Error, 'context canceled');
      throw rpcFailure(error);
    }
  },
};
