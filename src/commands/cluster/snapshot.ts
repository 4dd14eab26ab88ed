import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { Maintenance } from '../../api/gen/methods.ts';
import { Code, RpcError } from '../../api/status.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import { ioText } from '../frame/io-text.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stdout } from '../frame/output.ts';
import { progress } from '../frame/progress.ts';
import { rawRpcText } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';

const interrupted = (text: string, cause?: unknown): CommandError => new CommandError(ExitCode.Interrupted, text, { cause });

/** The trailer's size, and the size that the file without it is a multiple of. */
const hashBytes = 32;
const sectorBytes = 512;

/** Streams the database into an open file; resolves with the server's version. */
async function download(inv: Invocation, fd: number): Promise<string> {
  const client = await inv.client();
  let version = '';
  // The server is there within the command's timeout; the stream may then last as long as it takes, unless a limit was asked for.
  await client.call(Maintenance.status, {}, { timeoutMs: inv.commandTimeoutMs });
  const { createHash } = await import('node:crypto');
  const { stream } = await client.connection.stream(Maintenance.snapshot, {
    timeoutMs: inv.flags.given('command-timeout') ? inv.commandTimeoutMs : undefined,
  });
  const meter = await progress(inv, 'snapshot');
  let bytes = 0;
  let held = Buffer.alloc(0);
  const hash = createHash('sha256');
  try {
    await new Promise<void>((resolve, reject) => {
      stream.onMessage = (m) => {
        version = m.version || version;
        writeSync(fd, m.blob);
        bytes += m.blob.length;
        // All but the last 32 bytes are hashed.
        const all = Buffer.concat([held, m.blob]);
        const cut = Math.max(0, all.length - hashBytes);
        hash.update(all.subarray(0, cut));
        held = Buffer.from(all.subarray(cut));
        meter.update(bytes, bytes + m.remainingBytes);
      };
      stream.onEnd = (status) => (status.code === Code.OK ? resolve() : reject(new RpcError(status)));
      stream.send({});
      stream.halfClose();
    });
  } finally {
    meter.end();
  }
  if (bytes % sectorBytes !== hashBytes) throw interrupted(`sha256 checksum not found [bytes: ${bytes}]`);
  const computed = hash.digest();
  if (!computed.equals(held)) throw interrupted(`expected sha256 [${[...held].join(' ')}], got [${[...computed].join(' ')}]`);
  return version;
}

/** Downloads into `FILE.part`, checks and syncs it, and renames it: a file of the final name is always whole. */
async function saveSnapshot(inv: Invocation, file: string): Promise<string> {
  inv.settle();
  const endpoints = inv.flags.strings('endpoints');
  if (endpoints.length !== 1) throw interrupted(`snapshot must be requested to one selected node, not multiple [${endpoints.join(' ')}]`);
  await inv.client();
  const part = `${file}.part`;
  rmSync(part, { force: true, recursive: true });
  let fd: number;
  try {
    fd = openSync(part, 'w', 0o600);
  } catch (error) {
    throw interrupted(`could not open ${part} (${ioText(error)})`);
  }
  let version: string;
  try {
    version = await download(inv, fd);
    fsyncSync(fd);
  } catch (error) {
    closeSync(fd);
    rmSync(part, { force: true });
    if (error instanceof RpcError) throw interrupted(rawRpcText(error), error);
    if (error instanceof CommandError) throw error;
    throw interrupted(ioText(error));
  }
  closeSync(fd);
  try {
    renameSync(part, file);
  } catch (error) {
    throw interrupted(`could not rename ${part} to ${file} (${ioText(error)})`);
  }
  return version;
}

const save: CommandSpec = {
  name: 'save',
  args: '<filename>',
  summary: 'Save the database of a member to a file',
  about: [
    'Downloads the database of one member into a file, with a checksum at its end. An interrupted download never leaves a file of that name.',
  ],
  examples: [
    { command: 'snapshot save backup.db', about: 'from the one given endpoint' },
    { command: 'snapshot save backup.db --endpoints=10.0.0.1:2379', about: 'from this member' },
  ],
  complete: ['files'],
  async run(inv) {
    const [file] = inv.args;
    if (inv.args.length !== 1 || file === undefined) throw badArgs('snapshot save expects one argument <filename>');
    const version = await saveSnapshot(inv, file);
    stdout(`Snapshot saved at ${file}\n${version === '' ? '' : `Server version ${version}\n`}`);
    return 0;
  },
};

/** A command of the offline tool under the name that it had in older releases. */
function offline(name: 'status' | 'restore', summary: string): CommandSpec {
  return {
    name,
    args: '<filename> [flags]',
    summary,
    own: true,
    about: [`The same as \`util snapshot ${name}\`: see its help for the flags.`],
    examples: [
      { command: `snapshot ${name} backup.db`, about: 'the file of a `snapshot save`' },
      { command: `util snapshot ${name} --help`, about: 'all flags' },
    ],
    rawArgs: true,
    async run(inv) {
      const { runProgram } = await import('../frame/run.ts');
      return runProgram(inv.program, ['util', 'snapshot', name, ...inv.args], inv.around.env);
    },
  };
}

export const snapshot: CommandSpec = {
  name: 'snapshot',
  group: 'Cluster maintenance commands',
  summary: 'Save the database of a member',
  about: ['A snapshot is the database of one member as a file: a backup, and the start of a new cluster.'],
  commands: [offline('restore', 'Make a data directory from a snapshot file'), save, offline('status', 'Show what is in a snapshot file')],
};
