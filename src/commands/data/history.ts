import { KV } from '../../api/gen/methods.ts';
import type { KeyValue } from '../../api/gen/mvccpb.ts';
import { errors, RpcError } from '../../api/status.ts';
import type { Client } from '../../client/client.ts';
import { WatchCanceledError } from '../../client/errors.ts';
import { badArgs, CommandError, ExitCode } from '../frame/exit.ts';
import type { Invocation } from '../frame/invocation.ts';
import { Collected, stderr } from '../frame/output.ts';
import { rpcFailure } from '../frame/rpc-failure.ts';
import type { CommandSpec } from '../frame/spec.ts';
import { messageJson } from '../printers/json.ts';
import { hex16 } from '../printers/simple.ts';
import { printable, toBytes } from '../text/quote.ts';

interface Step {
  readonly kv: KeyValue;
  readonly deleted: boolean;
}

/** Pause before the server is asked again how far the watch is, ms. */
const askAgainMs = 100;

/** Changes of a key in [from, to]. Resolves with the first revision that can be asked for instead, when `from` is compacted. */
async function changes(client: Client, key: Uint8Array, span: { from: number; to: number; timeoutMs: number }): Promise<Step[] | number> {
  const watcher = client.watchRange({ key, rangeEnd: new Uint8Array(0) }, { startRevision: span.from });
  const steps: Step[] = [];
  let late = false;
  let timer: NodeJS.Timeout | undefined;
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      late = true;
      watcher.cancel();
    }, span.timeoutMs);
  };
  // A key that rests has no event at the end: the server says that everything up to now has been told.
  const ask = setInterval(() => client.requestWatchProgress(), askAgainMs);
  wait();
  try {
    for await (const batch of watcher) {
      wait();
      for (const { kv, type } of batch.events) {
        if (kv === undefined || kv.modRevision > span.to) continue;
        steps.push({ kv, deleted: type === 1 });
      }
      if (batch.revision >= span.to) return steps;
    }
  } catch (error) {
    if (!(error instanceof WatchCanceledError) || error.compactRevision === 0) throw error;
    return error.compactRevision;
  } finally {
    clearTimeout(timer);
    clearInterval(ask);
    watcher.cancel();
  }
  if (late) throw new RpcError(errors.contextDeadlineExceeded);
  return steps;
}

/** What is known of a key: the changes that are not compacted, and before them the pair as compaction left it. */
async function historyOf(inv: Invocation, key: Uint8Array): Promise<{ steps: Step[]; compacted: number }> {
  const client = await inv.client();
  const timeoutMs = inv.commandTimeoutMs;
  const now = await inv.call(KV.range, { key });
  const to = inv.flags.int('to-rev') || (now.header?.revision ?? 0);
  let from = Math.max(1, inv.flags.int('from-rev'));
  let compacted = 0;
  // Compaction may go on meanwhile.
  for (;;) {
    if (from > to) return { steps: [], compacted };
    const found = await changes(client, key, { from, to, timeoutMs });
    if (typeof found !== 'number') {
      if (compacted === 0) return { steps: found, compacted };
      const left = await client.call(KV.range, { key, revision: compacted }, { timeoutMs });
      const before = left.kvs.filter((kv) => kv.modRevision < from).map((kv) => ({ kv, deleted: false }));
      return { steps: [...before, ...found], compacted };
    }
    compacted = found;
    from = Math.max(from, found + 1);
  }
}

function simpleText(steps: readonly Step[]): string {
  const rows = steps.map(({ kv, deleted }) => [
    String(kv.modRevision),
    deleted ? 'delete' : 'put',
    deleted ? '' : `version ${kv.version}`,
    deleted ? '' : `${printable(kv.value)}${kv.lease === 0n ? '' : ` (lease ${hex16(kv.lease)})`}`,
  ]);
  const width = (i: number): number => Math.max(0, ...rows.map((r) => r[i]?.length ?? 0));
  const [w0, w1, w2] = [width(0), width(1), width(2)];
  return rows
    .map(([rev = '', what = '', version = '', value = '']) =>
      `${rev.padStart(w0)}  ${what.padEnd(w1)}  ${version.padEnd(w2)}  ${value}`.trimEnd(),
    )
    .map((l) => `${l}\n`)
    .join('');
}

export const history: CommandSpec = {
  name: 'history',
  args: '<key>',
  group: 'Key-value commands',
  own: true,
  summary: 'Show what a key was',
  about: [
    'Shows each change of a key that the store still has, the oldest first: revision, put or delete, version and value. What was compacted is gone; the pair as compaction left it is shown.',
    'With `-w jsonl` each change is one line of JSON, with `-w grid` there is a table.',
  ],
  examples: [
    { command: 'history config/app', about: 'all that is known' },
    { command: 'history config/app --from-rev=1000 -w jsonl --utf8', about: 'as JSON lines, from revision 1000 on' },
  ],
  flags: [
    { name: 'from-rev', type: 'int', usage: 'begin at this revision' },
    { name: 'limit', type: 'int', usage: 'only the newest so many changes; 0 for all' },
    { name: 'to-rev', type: 'int', usage: 'end at this revision; 0 for the newest' },
  ],
  complete: ['keys'],
  async run(inv) {
    const [keyText] = inv.args;
    if (inv.args.length !== 1 || keyText === undefined || keyText === '') throw badArgs('history command needs one key');
    const { format, options } = await inv.printer();
    if (!['simple', 'json', 'jsonl', 'grid'].includes(format))
      throw new CommandError(ExitCode.BadFeature, `${format} not supported as output format`);
    let found: Awaited<ReturnType<typeof historyOf>>;
    try {
      found = await historyOf(inv, toBytes(keyText));
    } catch (error) {
      throw rpcFailure(error);
    }
    const limit = inv.flags.int('limit');
    const steps = limit > 0 ? found.steps.slice(-limit) : found.steps;
    if (found.compacted > 0 && process.stderr.isTTY === true) stderr(`(changes up to revision ${found.compacted} are compacted)\n`);
    const out = new Collected();
    if (format === 'grid') {
      const { box } = await import('../printers/box.ts');
      const rows = steps.map(({ kv, deleted }) => [
        String(kv.modRevision),
        deleted ? 'delete' : 'put',
        deleted ? '' : String(kv.version),
        deleted ? '' : printable(kv.value),
        kv.lease === 0n ? '' : hex16(kv.lease),
      ]);
      inv.page(box(['revision', 'change', 'version', 'value', 'lease'], rows, { align: 'left' }));
    } else if (format === 'simple') out.text(simpleText(steps));
    else
      for (const { kv, deleted } of steps)
        out.text(
          `{"type":"${deleted ? 'DELETE' : 'PUT'}","kv":${messageJson('mvccpb.KeyValue', kv, { utf8: options.utf8, hexIds: false })}}\n`,
        );
    out.flush();
    return 0;
  },
};
