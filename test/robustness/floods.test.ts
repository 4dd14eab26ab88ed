// Floods of raw HTTP/2 frames, class by class: the member stays up, keeps its memory, serves others, and is itself again at once.
// Longer, on a machine that is quiet otherwise: TSETCD_FLOOD_SECONDS=20 [TSETCD_FLOODS=ping,settings] npx vitest run test/robustness/floods.test.ts
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Client } from '../../src/client/index.ts';
import { oneMember, until, type MemberProcess } from '../support/member.ts';

const full = process.env['TSETCD_FLOOD_SECONDS'] !== undefined;
const seconds = Number(process.env['TSETCD_FLOOD_SECONDS'] ?? 2);
const all = [
  ...['rapid-reset', 'settings', 'ping', 'continuation', 'empty-data', 'priority', 'window-update', 'fragments'],
  ...['headers', 'slow-reader', 'open-streams', 'garbage'],
];
const classes = process.env['TSETCD_FLOODS']?.split(',') ?? all;
const growthMax = 64 << 20;
/** Requests a second of the others. */
const probeRate = 200;

let member: MemberProcess & { remove(): Promise<void> };
let client: Client;

const rssAnon = (): number => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${member.pid}/status`, 'utf8'))?.[1]) * 1024;

/** Latencies in ms of puts and gets at a steady rate, until told to stop. */
class Probe {
  readonly ms: number[] = [];
  readonly failures: string[] = [];
  #stop = false;
  readonly #ended: Promise<void>;

  constructor() {
    this.#ended = this.#run();
  }

  async #run(): Promise<void> {
    const open = new Set<Promise<void>>();
    const start = performance.now();
    for (let i = 0; !this.#stop; i++) {
      const wait = start + (i * 1000) / probeRate - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      const at = performance.now();
      const one = (i % 2 === 0 ? client.put(`probe/${i % 100}`, 'v') : client.get(`probe/${i % 100}`))
        .then(() => void this.ms.push(performance.now() - at))
        .catch((e: unknown) => void this.failures.push(String(e)))
        .finally(() => open.delete(one));
      open.add(one);
    }
    await Promise.all(open);
  }

  async end(): Promise<void> {
    this.#stop = true;
    await this.#ended;
  }

  p(q: number): number {
    const sorted = [...this.ms].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
  }
}

async function probe(ms: number): Promise<Probe> {
  const p = new Probe();
  await new Promise((resolve) => setTimeout(resolve, ms));
  await p.end();
  return p;
}

/** On another core, and behind everybody else there. */
function flood(kind: string): Promise<{ connections: number; bytes: number; closed: number; goaways: number }> {
  return new Promise((resolve, reject) => {
    const args = [
      '-n',
      '19',
      process.execPath,
      join(import.meta.dirname, 'flood.mjs'),
      String(member.options.clientPort),
      kind,
      String(seconds),
    ];
    const child = spawn('nice', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (d: string) => (out += d));
    child.on('error', reject);
    child.on('close', () => resolve(JSON.parse(out) as { connections: number; bytes: number; closed: number; goaways: number }));
  });
}

beforeAll(async () => {
  member = await oneMember({ args: ['--log-level', 'error'] });
  client = connect({ endpoints: [member.endpoint], requestTimeoutMs: 30_000 });
  // Something to read for who asks for everything.
  const value = Buffer.alloc(100_000, 1);
  for (let i = 0; i < 40; i++) await client.put(`big/${i}`, value);
  await probe(full ? 5_000 : 1_000);
});
afterAll(async () => {
  await client?.close();
  await member?.remove();
});

describe(`a flood of ${seconds} s`, () => {
  it.each(classes)(
    'of %s',
    async (kind) => {
      const before = full ? await probe(5_000) : undefined;
      const memory = rssAnon();
      const during = new Probe();
      let peak = memory;
      const watching = setInterval(() => (peak = Math.max(peak, rssAnon())), 100);
      const sent = await flood(kind);
      clearInterval(watching);
      await during.end();
      // Within a second everything is as it was.
      await new Promise((resolve) => setTimeout(resolve, full ? 1_000 : 0));
      const after = full ? await probe(2_000) : undefined;
      expect(member.child?.exitCode).toBe(null);
      // A machine that is busy with other things may hold up anybody; where it is measured nobody is.
      if (full) expect(during.failures).toEqual([]);
      expect(during.ms.length, during.failures[0]).toBeGreaterThan(0);
      expect(sent.bytes).toBeGreaterThan(0);
      if (before !== undefined && after !== undefined) {
        const mib = ((peak - memory) / (1 << 20)).toFixed(1);
        const row = [kind, `${sent.connections} conn`, `${(sent.bytes / (1 << 20)).toFixed(1)} MiB`, `${mib} MiB grown`];
        const ms = [before, during, after].map((p) => `${p.p(0.5).toFixed(2)}/${p.p(0.99).toFixed(2)}`);
        console.log(`FLOOD | ${[...row, ...ms].join(' | ')} |`);
      }
      // On a machine that is busy otherwise memory comes back late.
      await until('memory within its limit', () => rssAnon() - memory <= growthMax, 60_000);
      if (full) expect(peak - memory).toBeLessThanOrEqual(growthMax);
      await client.get('probe/0');
    },
    240_000,
  );
});
