import type { Compare, RequestOp, TxnResponse } from '../../api/gen/etcdserverpb.ts';
import { Compare_CompareResult as CompareResult, Compare_CompareTarget as CompareTarget } from '../../api/gen/etcdserverpb.ts';
import { KV, Lease } from '../../api/gen/methods.ts';
import type { Init } from '../../api/proto-io.ts';
import { equalBytes } from '../../base/bytes.ts';
import { asked, guardFlags } from '../frame/confirm.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { Collected, stderr, stdout } from '../frame/output.ts';
import { progress, type Progress } from '../frame/progress.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { printable, toBytes } from '../text/quote.ts';
import { counted } from '../text/words.ts';
import { openEntries, type EntryFile } from './entries.ts';
import type { Entry } from './records.ts';

/** Pairs of one transaction: etcd takes 128 operations unless told otherwise. */
const batchKeys = 100;
/** Bytes of one transaction, unless a single pair is larger: half of what etcd takes. */
const batchBytes = 768 * 1024;
/** Keys in the way that are named. */
const shownMax = 20;

type Fate = 'create' | 'change' | 'unchanged' | 'in the way';

interface Planned {
  readonly key: Uint8Array;
  readonly entry: Entry;
  readonly fate: Fate;
}

interface Settings {
  readonly overwrite: boolean;
  readonly skipExisting: boolean;
  readonly leases: 'new' | 'none' | 'skip';
  /** The key's name at the destination. */
  readonly rename: (key: Uint8Array) => Uint8Array;
}

async function* batches(file: EntryFile, meter: Progress): AsyncGenerator<Entry[], void> {
  let batch: Entry[] = [];
  let bytes = 0;
  for await (const { entry, at } of file.read()) {
    const size = entry.key.length + entry.value.length;
    if (batch.length > 0 && (batch.length === batchKeys || bytes + size > batchBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(entry);
    bytes += size;
    meter.update(at, file.bytes);
  }
  if (batch.length > 0) yield batch;
}

/** An import under way. All that is read is as of the revision of the plan; what somebody changes later is not touched. */
class Import {
  readonly #inv: Invocation;
  readonly #settings: Settings;
  readonly #newLeases = new Map<bigint, bigint>();
  /** 0 until the first look. */
  revision = 0;
  readonly counts: Record<Fate, number> = { create: 0, change: 0, unchanged: 0, 'in the way': 0 };
  leftOut = 0;
  readonly inTheWay: string[] = [];
  readonly written = { created: 0, changed: 0 };
  /** Keys that somebody changed after the plan was made. */
  readonly lost: string[] = [];

  constructor(inv: Invocation, settings: Settings) {
    this.#inv = inv;
    this.#settings = settings;
  }

  /** What would become of each pair of a batch. */
  async plan(batch: readonly Entry[]): Promise<Planned[]> {
    const { rename, leases, overwrite } = this.#settings;
    const wanted = batch.filter((e) => leases !== 'skip' || e.lease === 0n).map((entry) => ({ entry, key: rename(entry.key) }));
    this.leftOut += batch.length - wanted.length;
    if (wanted.length === 0) return [];
    if (this.revision === 0) this.revision = (await this.#inv.call(KV.range, { key: new Uint8Array(1) })).header?.revision ?? 0;
    const reads = wanted.map(({ key }) => ({ requestRange: { key, revision: this.revision } }));
    const { responses } = await this.#inv.call(KV.txn, { success: reads });
    return wanted.map(({ key, entry }, i) => {
      const now = responses[i]?.responseRange?.kvs[0];
      let fate: Fate = 'create';
      if (now !== undefined) fate = equalBytes(now.value, entry.value) ? 'unchanged' : overwrite ? 'change' : 'in the way';
      return { key, entry, fate };
    });
  }

  count(planned: readonly Planned[]): void {
    for (const { fate, key } of planned) {
      this.counts[fate]++;
      if (fate === 'in the way' && this.inTheWay.length < shownMax) this.inTheWay.push(printable(key));
    }
  }

  async write(planned: readonly Planned[]): Promise<void> {
    const due = planned.filter((p) => p.fate === 'create' || p.fate === 'change');
    if (due.length === 0) return;
    const answer = await this.#commit(due);
    if (answer.succeeded) this.#wrote(due);
    // Somebody was there meanwhile: those keys by themselves, so that the others are not held back.
    else if (due.length > 1) for (const one of due) await this.write([one]);
    else this.lost.push(...due.map((p) => printable(p.key)));
  }

  async #commit(due: readonly Planned[]): Promise<TxnResponse> {
    const compare: Init<Compare>[] = due.map(({ key }) => ({
      key,
      target: CompareTarget.MOD,
      result: CompareResult.LESS,
      modRevision: this.revision + 1,
    }));
    // A key that is to be changed has to be there still; one that is absent counts as revision 0.
    for (const { key, fate } of due)
      if (fate === 'change') compare.push({ key, target: CompareTarget.MOD, result: CompareResult.GREATER, modRevision: 0 });
    const success: Init<RequestOp>[] = [];
    for (const { key, entry } of due) success.push({ requestPut: { key, value: entry.value, lease: await this.#leaseOf(entry) } });
    return this.#inv.call(KV.txn, { compare, success });
  }

  #wrote(due: readonly Planned[]): void {
    for (const { fate } of due) {
      if (fate === 'create') this.written.created++;
      else this.written.changed++;
    }
  }

  /** Each lease of the file becomes one new lease, granted for as long. */
  async #leaseOf({ lease, ttlSeconds }: Entry): Promise<bigint> {
    if (lease === 0n || this.#settings.leases === 'none') return 0n;
    let id = this.#newLeases.get(lease);
    if (id === undefined) {
      id = (await this.#inv.call(Lease.leaseGrant, { TTL: Math.max(1, ttlSeconds) })).ID;
      this.#newLeases.set(lease, id);
    }
    return id;
  }

  get leases(): number {
    return this.#newLeases.size;
  }

  planText(): string {
    const { create, change, unchanged, 'in the way': way } = this.counts;
    const out = this.leftOut === 0 ? '' : `, ${this.leftOut} with a lease left out`;
    return `plan as of revision ${this.revision}: create ${create}, change ${change}, unchanged ${unchanged}, in the way ${way}${out}`;
  }
}

function settingsOf(inv: Invocation, prefix: Uint8Array | undefined): Settings {
  const leases = inv.flags.string('leases');
  if (leases !== 'new' && leases !== 'none' && leases !== 'skip')
    throw new CommandError(ExitCode.BadFeature, `unknown treatment of leases ${leases}: new, none or skip`);
  const overwrite = inv.flags.bool('overwrite');
  const skipExisting = inv.flags.bool('skip-existing');
  if (overwrite && skipExisting) throw badArgs('`--overwrite` and `--skip-existing` cannot be set at the same time, choose one');
  let rename = (key: Uint8Array): Uint8Array => key;
  if (inv.flags.given('to')) {
    if (prefix === undefined) throw badArgs('--to needs a file that says which prefix was exported');
    const to = toBytes(inv.flags.string('to'));
    rename = (key) => {
      if (!equalBytes(key.subarray(0, prefix.length), prefix))
        throw new CommandError(ExitCode.InvalidInput, `key ${printable(key)} does not begin with the exported prefix`);
      return Buffer.concat([to, key.subarray(prefix.length)]);
    };
  }
  return { overwrite, skipExisting, leases, rename };
}

const signs: Readonly<Record<Fate, string>> = { create: '+', change: '~', unchanged: '=', 'in the way': '!' };

async function makePlan(inv: Invocation, job: Import, file: EntryFile): Promise<void> {
  const meter = await progress(inv, 'plan');
  const out = inv.flags.bool('dry-run') ? new Collected() : undefined;
  try {
    for await (const batch of batches(file, meter)) {
      const planned = await job.plan(batch);
      job.count(planned);
      for (const { fate, key } of planned) if (fate !== 'unchanged') out?.text(`${signs[fate]} ${printable(key)}\n`);
    }
  } finally {
    meter.end();
  }
  out?.flush();
}

async function carryOut(inv: Invocation, job: Import, file: EntryFile): Promise<void> {
  const meter = await progress(inv, 'import');
  try {
    for await (const batch of batches(file, meter)) await job.write(await job.plan(batch));
  } finally {
    meter.end();
  }
}

export const importKeys: CommandSpec = {
  name: 'import',
  args: '[file]',
  group: 'Key-value commands',
  own: true,
  summary: 'Write keys from a file of export',
  about: [
    'Writes the pairs of a file that `export` made, or that was written by hand in its manner: JSON lines or YAML, from a file or from standard input.',
    'First a plan is made and printed: which keys would be created, changed, or are there already as they should be. A key that exists with another value is in the way, and then nothing is written unless --overwrite or --skip-existing says what to do. The plan holds as of one revision: a key that somebody else changes after it is left alone and reported.',
    'An import that was interrupted is taken up by running it again: what is there already counts as unchanged. Pairs with a lease get a new one of the same number of seconds, one for each lease of the file; nobody renews it unless you do.',
  ],
  examples: [
    { command: 'import config.jsonl --dry-run', about: 'shows the plan, key by key (+ create, ~ change, ! in the way)' },
    { command: 'import config.jsonl --to=copy/ --overwrite', about: 'under another prefix than it was exported from' },
  ],
  flags: [
    ...guardFlags,
    {
      name: 'leases',
      type: 'string',
      default: 'new',
      value: 'HOW',
      usage: 'pairs with a lease: new (under a new lease), none (without one), skip (leave them out)',
      complete: ['new', 'none', 'skip'],
    },
    { name: 'overwrite', type: 'bool', usage: 'change keys that exist with another value' },
    { name: 'skip-existing', type: 'bool', usage: 'leave keys alone that exist with another value' },
    { name: 'to', type: 'string', value: 'PREFIX', usage: 'prefix instead of the exported one' },
  ],
  complete: ['files'],
  async run(inv) {
    if (inv.args.length > 1) throw badArgs('import command accepts at most one file');
    const file = await openEntries(inv.args[0] ?? '-');
    try {
      const settings = settingsOf(inv, file.prefix);
      const job = new Import(inv, settings);
      await inv.client();
      await makePlan(inv, job, file);
      stdout(`${job.planText()}\n`);
      if (inv.flags.bool('dry-run')) return 0;
      const blocked = job.counts['in the way'];
      if (blocked > 0 && !settings.skipExisting) {
        const more = blocked > job.inTheWay.length ? `\n  … and ${blocked - job.inTheWay.length} more` : '';
        stderr(`${job.inTheWay.map((k) => `  ${k}`).join('\n')}${more}\n`);
        throw new CommandError(
          ExitCode.Error,
          `${counted(blocked, 'key')} in the way with another value, so nothing was written: --overwrite changes them, --skip-existing leaves them`,
        );
      }
      const ask = inv.flags.bool('confirm') || inv.around.env['TSETCD_CONFIRM'] === '1';
      if (ask && process.stdin.isTTY === true && process.stderr.isTTY === true && !asked('Carry it out?')) return 0;
      await carryOut(inv, job, file);
      const leases = job.leases === 0 ? '' : `, under ${counted(job.leases, 'new lease')}`;
      stdout(`created ${job.written.created}, changed ${job.written.changed}${leases}\n`);
      if (job.lost.length === 0) return 0;
      stderr(
        `${job.lost
          .slice(0, shownMax)
          .map((k) => `  ${k}\n`)
          .join('')}`,
      );
      throw new CommandError(
        ExitCode.Error,
        `${counted(job.lost.length, 'key')} changed since the plan and left alone: run the import again`,
      );
    } finally {
      file.close();
    }
  },
};
