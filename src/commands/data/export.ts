import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { Lease } from '../../api/gen/methods.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { ioText } from '../frame/io-text.ts';
import { stderr, stdout } from '../frame/output.ts';
import { progress } from '../frame/progress.ts';
import { rpcFailure } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { prefixRange } from '../kv/keys.ts';
import { rangeParts } from '../kv/range-parts.ts';
import { counted } from '../text/words.ts';
import { toBytes } from '../text/quote.ts';
import { headObject, pairObject } from './records.ts';

/** Seconds that leases were granted for, asked for once each. */
class LeaseTimes {
  readonly #inv: Invocation;
  readonly #known = new Map<bigint, number>();

  constructor(inv: Invocation) {
    this.#inv = inv;
  }

  /** 0 for none, and for a lease that is gone. */
  async of(id: bigint): Promise<number> {
    if (id === 0n) return 0;
    let ttl = this.#known.get(id);
    if (ttl === undefined) {
      ttl = Math.max(0, (await this.#inv.call(Lease.leaseTimeToLive, { ID: id })).grantedTTL);
      this.#known.set(id, ttl);
    }
    return ttl;
  }
}

interface Shape {
  begin(head: object): string;
  pair(o: object): string;
  end(): string;
}

const jsonLines: Shape = {
  begin: (head) => `${JSON.stringify(head)}\n`,
  pair: (o) => `${JSON.stringify(o)}\n`,
  end: () => '{"end":true}\n',
};

async function yamlShape(): Promise<Shape> {
  const { stringify } = await import('yaml');
  const text = (o: unknown): string => stringify(o, { lineWidth: 0 });
  const indented = (o: unknown): string => text([o]).replace(/^(?=.)/gm, '  ');
  let any = false;
  return {
    begin: (head) => `${text(head)}keys:`,
    pair: (o) => {
      const before = any ? '' : '\n';
      any = true;
      return before + indented(o);
    },
    end: () => `${any ? '' : ' []\n'}end: true\n`,
  };
}

/** Where the text goes: standard output, or a file that appears under its name only when it is whole. */
interface Target {
  write(text: string): void;
  finish(): void;
  abandon(): void;
}

function fileTarget(name: string): Target {
  const part = `${name}.part`;
  const failed = (error: unknown): CommandError => new CommandError(ExitCode.IO, ioText(error));
  let fd: number;
  try {
    fd = openSync(part, 'w', 0o600);
  } catch (error) {
    throw failed(error);
  }
  return {
    write(text) {
      const bytes = Buffer.from(text, 'utf8');
      try {
        for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      } catch (error) {
        throw failed(error);
      }
    },
    finish() {
      try {
        fsyncSync(fd);
        closeSync(fd);
        renameSync(part, name);
      } catch (error) {
        throw failed(error);
      }
    },
    abandon() {
      closeSync(fd);
      rmSync(part, { force: true });
    },
  };
}

const standardOutput: Target = { write: stdout, finish: () => undefined, abandon: () => undefined };

async function write(inv: Invocation, prefix: Uint8Array, shape: Shape, target: Target): Promise<{ keys: number; revision: number }> {
  const client = await inv.client();
  const leases = new LeaseTimes(inv);
  const meter = await progress(inv, 'export', (n) => counted(Math.round(n), 'key'));
  let revision = 0;
  let keys = 0;
  try {
    const request = { ...prefixRange(prefix), revision: inv.flags.int('rev') };
    for await (const { head, kvs } of rangeParts({ client, timeoutMs: inv.commandTimeoutMs }, request)) {
      if (revision === 0) {
        revision = request.revision > 0 ? request.revision : (head.header?.revision ?? 0);
        target.write(shape.begin(headObject(prefix, revision)));
      }
      let text = '';
      for (const kv of kvs) text += shape.pair(pairObject(kv, await leases.of(kv.lease)));
      if (text !== '') target.write(text);
      keys += kvs.length;
      meter.update(keys, head.count);
    }
    target.write(shape.end());
  } catch (error) {
    throw rpcFailure(error);
  } finally {
    meter.end();
  }
  return { keys, revision };
}

export const exportKeys: CommandSpec = {
  name: 'export',
  args: '[prefix]',
  group: 'Key-value commands',
  own: true,
  summary: 'Write keys as JSON lines or YAML',
  about: [
    'Writes the keys with a prefix, or all of them, as they were at one revision, for `import`, version control or other programs. Keys and values are text where they are valid UTF-8, else base64; a pair with a lease says which, and for how many seconds that was granted.',
    'The first line names prefix and revision, the last one tells a whole file from one that was cut off. A file given by --output appears under its name only when it is whole.',
    'This is no backup of a cluster: users, roles and history are in a `snapshot save`.',
  ],
  examples: [
    { command: 'export config/ --output=config.jsonl', about: 'what lies below config/, one JSON object a line' },
    { command: 'export config/ --format=yaml --rev=1000', about: 'as YAML, as it was at revision 1000' },
  ],
  flags: [
    { name: 'format', type: 'string', default: 'jsonl', value: 'FORMAT', usage: 'jsonl or yaml', complete: ['jsonl', 'yaml'] },
    { name: 'output', short: 'o', type: 'string', value: 'FILE', usage: 'write to a file instead of standard output', complete: 'files' },
    { name: 'rev', type: 'int', usage: 'the keys as they were at this revision' },
  ],
  complete: ['keys'],
  async run(inv) {
    if (inv.args.length > 1) throw badArgs('export command accepts at most one prefix');
    const format = inv.flags.string('format');
    if (format !== 'jsonl' && format !== 'yaml')
      throw new CommandError(ExitCode.BadFeature, `unknown export format ${format}: jsonl or yaml`);
    await inv.client();
    const shape = format === 'yaml' ? await yamlShape() : jsonLines;
    const file = inv.flags.string('output');
    const target = file === '' || file === '-' ? standardOutput : fileTarget(file);
    try {
      const { keys, revision } = await write(inv, toBytes(inv.args[0] ?? ''), shape, target);
      target.finish();
      if (target !== standardOutput) stderr(`${counted(keys, 'key')} as of revision ${revision} written to ${file}\n`);
    } catch (error) {
      target.abandon();
      throw error;
    }
    return 0;
  },
};
