import { KV, Maintenance } from '../../api/gen/methods.ts';
import { CommandError, ExitCode } from '../frame/exit.ts';
import { clientOptions } from '../frame/client-options.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stdout } from '../frame/output.ts';
import { progress } from '../frame/progress.ts';
import type { CommandSpec, FlagSpec } from '../frame/spec.ts';
import { clientOf } from '../cluster/each-endpoint.ts';
import { prefixRange } from '../kv/keys.ts';
import { quote, toBytes } from '../text/quote.ts';
import { runLoad, type LoadResult } from './load.ts';

type Size = 's' | 'm' | 'l' | 'xl';
const sizes: Readonly<Record<string, Size>> = { s: 's', small: 's', m: 'm', medium: 'm', l: 'l', large: 'l', xl: 'xl', xLarge: 'xl' };

/** Writes a second to reach, and callers. */
const perfLoads = {
  s: { rate: 150, clients: 50 },
  m: { rate: 1000, clients: 200 },
  l: { rate: 8000, clients: 500 },
  xl: { rate: 15000, clients: 1000 },
};
const scaleLoads = {
  s: { total: 10_000, clients: 50 },
  m: { total: 100_000, clients: 200 },
  l: { total: 1_000_000, clients: 500 },
  xl: { total: 3_000_000, clients: 1000 },
};
const perfSeconds = 60;
const valueBytes = 1024;
/** What passes: share of the wanted rate, slowest request and deviation in seconds. */
const rateShare = 0.9;
const slowestMax = 0.5;
const stddevMax = 0.1;

function sizeOf(inv: Invocation): Size {
  const text = inv.flags.string('load');
  const size = Object.hasOwn(sizes, text) ? sizes[text] : undefined;
  if (size === undefined) throw new CommandError(ExitCode.BadFeature, `unknown load option ${text}`);
  return size;
}

async function refuseUsedPrefix(inv: Invocation, prefix: string, text: string): Promise<void> {
  const found = await inv.call(KV.range, { ...prefixRange(toBytes(prefix)), limit: 1, keysOnly: true });
  if (found.kvs.length > 0) throw new CommandError(ExitCode.InvalidInput, text);
}

/** Deletes what was written, and tidies up as the flags say. */
async function cleanUp(inv: Invocation, prefix: string): Promise<void> {
  const long = { timeoutMs: undefined };
  const deleted = await inv.call(KV.deleteRange, prefixRange(toBytes(prefix)), long);
  const revision = deleted.header?.revision ?? 0;
  if (inv.flags.bool('auto-compact')) {
    await inv.call(KV.compact, { revision, physical: true }, long);
    stdout(`Compacted with revision ${revision}\n`);
  }
  if (inv.flags.bool('auto-defrag')) {
    for (const endpoint of inv.flags.strings('endpoints')) {
      const client = await clientOf(inv, endpoint);
      await client.call(Maintenance.defragment, {});
      client.close();
      stdout(`Defragmented ${quote(endpoint)}\n`);
    }
  }
}

function tellErrors(result: LoadResult): boolean {
  if (result.errors.size === 0) return false;
  stdout('FAIL: too many errors\n');
  for (const [text, count] of result.errors) stdout(`FAIL: ERROR(${text}) -> ${count}\n`);
  return true;
}

const common = (prefix: string): FlagSpec[] => [
  { name: 'auto-compact', type: 'bool', usage: 'compact afterwards' },
  { name: 'auto-defrag', type: 'bool', usage: 'defragment afterwards' },
  {
    name: 'load',
    type: 'string',
    default: 's',
    value: 'SIZE',
    usage: 's, m, l or xl (or small, medium, large, xLarge)',
    complete: ['s', 'm', 'l', 'xl'],
  },
  { name: 'prefix', type: 'string', default: prefix, value: 'PREFIX', usage: 'where the keys of the check are written' },
];

const perf: CommandSpec = {
  name: 'perf',
  args: '',
  summary: 'Check the write throughput',
  about: [
    'Writes at a steady rate for 60 seconds and says whether throughput, slowest request and deviation are good enough. Deletes what it wrote.',
  ],
  examples: [
    { command: 'check perf --load=m', about: '1,000 writes a second from 200 callers' },
    { command: 'check perf --auto-compact --auto-defrag', about: 'and gives the space back' },
  ],
  flags: common('/etcdctl-check-perf/'),
  async run(inv) {
    const size = perfLoads[sizeOf(inv)];
    const prefix = inv.flags.string('prefix');
    await refuseUsedPrefix(inv, prefix, `prefix ${quote(prefix)} has keys. Delete with '${inv.program} del --prefix ${prefix}' first`);
    const meter = await progress(inv, 'check perf', (n) => `${Math.round(n)} writes`);
    const total = size.rate * perfSeconds;
    const result = await runLoad(await clientOptions(inv.flags), {
      ...size,
      prefix,
      total,
      durationMs: perfSeconds * 1000,
      valueBytes,
      onProgress: (done) => meter.update(done, total),
    });
    meter.end();
    await cleanUp(inv, prefix);
    if (tellErrors(result)) return ExitCode.Error;
    const rate = Math.floor(result.done / result.seconds);
    const verdicts = [
      rate > size.rate * rateShare ? `PASS: Throughput is ${rate} writes/s` : `FAIL: Throughput too low: ${rate} writes/s`,
      result.slowestSeconds <= slowestMax
        ? `PASS: Slowest request took ${result.slowestSeconds.toFixed(6)}s`
        : `Slowest request took too long: ${result.slowestSeconds.toFixed(6)}s`,
      result.stddevSeconds <= stddevMax
        ? `PASS: Stddev is ${result.stddevSeconds.toFixed(6)}s`
        : `Stddev too high: ${result.stddevSeconds.toFixed(6)}s`,
    ];
    const passed = verdicts.every((v) => v.startsWith('PASS'));
    stdout(`${verdicts.join('\n')}\n${passed ? 'PASS' : 'FAIL'}\n`);
    return passed ? 0 : ExitCode.Error;
  },
};

/** Resident bytes of each endpoint's member, added up, from its metrics. */
async function residentBytes(inv: Invocation): Promise<number> {
  const { tls, endpoints } = await clientOptions(inv.flags);
  let sum = 0;
  for (const endpoint of endpoints) {
    const bare = endpoint.replace(/^[a-z]+:\/\//, '');
    const secure = endpoint.startsWith('https:') || (tls !== undefined && !endpoint.startsWith('http:'));
    const { fetchText } = await import('./fetch-text.ts');
    const text = await fetchText(`${secure ? 'https' : 'http'}://${bare}/metrics`, tls);
    const match = /^process_resident_memory_bytes (\S+)$/m.exec(text);
    if (match === null) throw new CommandError(ExitCode.Error, 'could not find: process_resident_memory_bytes');
    sum += Number(match[1]);
  }
  return sum;
}

const datascale: CommandSpec = {
  name: 'datascale',
  args: '',
  summary: 'Check the memory that data takes',
  about: ['Writes many keys and says how much memory the members use for them. Deletes what it wrote.'],
  examples: [
    { command: 'check datascale --load=m', about: '100,000 keys of 1 KiB' },
    { command: 'check datascale --auto-compact --auto-defrag', about: 'and gives the space back' },
  ],
  flags: common('/etcdctl-check-datascale/'),
  async run(inv) {
    const size = scaleLoads[sizeOf(inv)];
    const prefix = inv.flags.string('prefix');
    await refuseUsedPrefix(inv, prefix, `prefix ${quote(prefix)} has keys. Delete with ${inv.program} del --prefix ${prefix} first`);
    const before = await residentBytes(inv);
    stdout(
      `Start data scale check for work load [${size.total} key-value pairs, ${valueBytes} bytes per key-value, ${size.clients} concurrent clients].\n`,
    );
    const meter = await progress(inv, 'check datascale', (n) => `${Math.round(n)} keys`);
    const result = await runLoad(await clientOptions(inv.flags), {
      ...size,
      prefix,
      rate: Infinity,
      durationMs: Infinity,
      valueBytes,
      onProgress: (done) => meter.update(done, size.total),
    });
    meter.end();
    const after = await residentBytes(inv);
    await cleanUp(inv, prefix);
    if (tellErrors(result)) return ExitCode.Error;
    stdout(`PASS: Approximate system memory used : ${((after - before) / 1048576).toFixed(2)} MB.\n`);
    return 0;
  },
};

export const check: CommandSpec = {
  name: 'check',
  group: 'Utility commands',
  summary: 'Check what a cluster can do',
  about: ['Puts a load on a cluster and says how it copes.'],
  commands: [datascale, perf],
};
