import { KV } from '../../api/gen/methods.ts';
import type { RequestOp } from '../../api/gen/etcdserverpb.ts';
import type { Init } from '../../api/proto-io.ts';
import { errors, RpcError } from '../../api/status.ts';
import { prefixEnd } from '../../base/bytes.ts';
import { Client } from '../../client/client.ts';
import { WatchCanceledError } from '../../client/errors.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import { clientOptions, makeTls, splitUser } from '../frame/client-options.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stdout } from '../frame/output.ts';
import { progress } from '../frame/progress.ts';
import { rpcFailure } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { toBytes } from '../text/quote.ts';
import { counted } from '../text/words.ts';

/** Keys of one read of the base copy. */
const pageKeys = 1000;
/** How often the number of copied keys is printed. */
const reportMs = 30_000;

async function destination(inv: Invocation, endpoint: string): Promise<Client> {
  const { flags } = inv;
  const tls = makeTls({
    cert: flags.string('dest-cert'),
    key: flags.string('dest-key'),
    ca: flags.string('dest-cacert'),
    insecureSkipVerify: false,
    insecureTransport: flags.bool('dest-insecure-transport'),
  });
  const user = flags.string('dest-user');
  const login = user === '' ? {} : await splitUser(user, flags.string('dest-password'));
  const { username: _u, password: _p, token: _t, ...source } = await clientOptions(flags);
  const client = new Client({ ...source, endpoints: [endpoint], tls, ...login });
  try {
    if (user !== '') await client.connection.login(flags.duration('dial-timeout'));
  } catch (error) {
    throw rpcFailure(error, ExitCode.BadConnection);
  }
  return client;
}

class Mirror {
  copied = 0;
  /** Told after each copied key. */
  onCopied: (copied: number) => void = () => undefined;
  readonly #source: Client;
  readonly #target: Client;
  readonly #prefix: Uint8Array;
  readonly #newPrefix: Uint8Array;

  constructor(source: Client, target: Client, prefix: Uint8Array, newPrefix: Uint8Array) {
    this.#source = source;
    this.#target = target;
    this.#prefix = prefix;
    this.#newPrefix = newPrefix;
  }

  #keyAt(key: Uint8Array): Uint8Array {
    return Buffer.concat([this.#newPrefix, key.subarray(this.#prefix.length)]);
  }

  get #range(): { key: Uint8Array; rangeEnd: Uint8Array } {
    if (this.#prefix.length === 0) return { key: new Uint8Array(1), rangeEnd: new Uint8Array(1) };
    return { key: this.#prefix, rangeEnd: prefixEnd(this.#prefix) };
  }

  /** Copies everything as of one revision; resolves with it. */
  async base(): Promise<number> {
    const { rangeEnd } = this.#range;
    let { key } = this.#range;
    let revision = 0;
    for (;;) {
      const page = await this.#source.call(KV.range, { key, rangeEnd, limit: pageKeys, revision });
      if (revision === 0) revision = page.header?.revision ?? 0;
      for (const kv of page.kvs) {
        await this.#target.call(KV.put, { key: this.#keyAt(kv.key), value: kv.value });
        this.onCopied(++this.copied);
      }
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return revision;
      key = Buffer.concat([last.key, new Uint8Array(1)]);
    }
  }

  /** Copies changes, revision by revision, until the watch ends. */
  async changes(from: number, opsMax: number): Promise<void> {
    const watcher = this.#source.watchRange(this.#range, { startRevision: from });
    for await (const batch of watcher) {
      let ops: Init<RequestOp>[] = [];
      let revision = 0;
      const commit = async (): Promise<void> => {
        if (ops.length > 0) await this.#target.call(KV.txn, { success: ops });
        ops = [];
      };
      for (const { kv, type } of batch.events) {
        if (kv === undefined) continue;
        if (kv.modRevision !== revision || ops.length >= opsMax) await commit();
        revision = kv.modRevision;
        const key = this.#keyAt(kv.key);
        ops.push(type === 1 ? { requestDeleteRange: { key } } : { requestPut: { key, value: kv.value } });
        this.onCopied(++this.copied);
      }
      await commit();
    }
  }
}

export const makeMirror: CommandSpec = {
  name: 'make-mirror',
  args: '<destination>',
  group: 'Utility commands',
  summary: 'Copy keys to another cluster, and go on',
  about: [
    'Copies the keys of this cluster, or those with a prefix, to another one, then follows their changes until interrupted.',
    'With --rev nothing is copied first: changes from that revision on are. Every 30 seconds the number of copied keys is printed.',
  ],
  examples: [
    { command: 'make-mirror --prefix=config/ 10.0.0.9:2379', about: 'one prefix, under the same name' },
    { command: 'make-mirror --prefix=config/ --dest-prefix=copy/ 10.0.0.9:2379', about: 'under another name' },
  ],
  flags: [
    { name: 'dest-cacert', type: 'string', value: 'FILE', usage: 'CA certificates of the destination', complete: 'files' },
    { name: 'dest-cert', type: 'string', value: 'FILE', usage: 'client certificate for the destination', complete: 'files' },
    { name: 'dest-insecure-transport', type: 'bool', default: 'true', usage: 'talk to the destination without TLS' },
    { name: 'dest-key', type: 'string', value: 'FILE', usage: "that certificate's private key", complete: 'files' },
    { name: 'dest-password', type: 'string', value: 'PASSWORD', usage: 'password of the user at the destination' },
    { name: 'dest-prefix', type: 'string', value: 'PREFIX', usage: 'prefix of the copies instead of the one copied from' },
    { name: 'dest-user', type: 'string', value: 'NAME[:PASSWORD]', usage: 'user at the destination' },
    { name: 'max-txn-ops', type: 'uint', default: '128', usage: 'changes in one transaction at the destination' },
    { name: 'no-dest-prefix', type: 'bool', usage: 'strip the prefix from the copies' },
    { name: 'prefix', type: 'string', value: 'PREFIX', usage: 'copy the keys with this prefix' },
    { name: 'rev', type: 'int', usage: 'copy changes from this revision on, and nothing before' },
  ],
  async run(inv) {
    const [endpoint] = inv.args;
    if (inv.args.length !== 1 || endpoint === undefined) throw badArgs('make-mirror takes one destination argument');
    const { flags } = inv;
    const destPrefix = flags.string('dest-prefix');
    if (destPrefix !== '' && flags.bool('no-dest-prefix'))
      throw badArgs('`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one');
    inv.settle();
    const target = await destination(inv, endpoint);
    const source = await inv.client();
    const prefix = toBytes(flags.string('prefix'));
    const newPrefix = destPrefix !== '' ? toBytes(destPrefix) : flags.bool('no-dest-prefix') ? new Uint8Array(0) : prefix;
    const mirror = new Mirror(source, target, prefix, newPrefix);
    setInterval(() => stdout(`${mirror.copied}\n`), reportMs).unref();
    const rev = flags.int('rev');
    const meter = await progress(inv, 'make-mirror', (n) => counted(Math.round(n), 'key'));
    mirror.onCopied = (copied) => meter.update(copied, 0);
    try {
      const from = rev > 1 ? rev : (await mirror.base()) + 1;
      await mirror.changes(from, flags.int('max-txn-ops'));
      throw new CommandError(ExitCode.Error, 'the source ended the watch');
    } catch (error) {
      if (error instanceof WatchCanceledError)
        throw new CommandError(ExitCode.Error, error.compactRevision === 0 ? error.message : errors.compacted.message);
      throw error instanceof RpcError ? rpcFailure(error) : error;
    } finally {
      meter.end();
    }
  },
};
