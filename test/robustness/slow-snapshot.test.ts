// A client that reads a snapshot at 1 MB/s while others write and compact: what the member holds for it is bounded, on disk and in memory.
// A minute: TSETCD_SNAPSHOT_SECONDS=60 npm test test/robustness/slow-snapshot
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SnapshotResponse } from '../../src/api/gen/etcdserverpb.ts';
import { connect } from '../../src/client/index.ts';
import { diskBytesOf, mb, memoryOf } from '../support/figures.ts';
import { oneMember, reference, run, scratch } from '../support/member.ts';

const seconds = Number(process.env['TSETCD_SNAPSHOT_SECONDS'] ?? 6);
const bytesPerSecond = 1e6;
const valueBytes = 10_000;
/** So that the reader needs the time. */
const keys = Math.ceil((seconds * bytesPerSecond) / valueBytes);

describe('a client that reads a snapshot at 1 MB/s under load', () => {
  let member: Awaited<ReturnType<typeof oneMember>>;
  const place = scratch();
  beforeAll(async () => {
    member = await oneMember();
  });
  afterAll(async () => {
    await member.remove();
    place.remove();
  });

  it(
    `is served whole in ${seconds} s or more, within bounds`,
    async () => {
      const client = connect({ endpoints: [member.endpoint] });
      const value = (n: number): string => `${n} `.padEnd(valueBytes, 'v');
      for (let i = 0; i < keys; i++) await client.put(`k${i % keys}`, value(i));
      const before = { memory: memoryOf(member.pid).rssAnon, disk: diskBytesOf(member.options.dataDir) };
      const revision = (await client.get('k0')).header!.revision;

      // Others overwrite what the reader still has to read, and compact it away: 2 MB/s.
      let over = false;
      let puts = 0;
      const peak = { memory: 0, disk: 0, putMs: 0 };
      const load = (async () => {
        const start = performance.now();
        while (!over) {
          const at = performance.now();
          const r = await client.put(`k${puts % keys}`, value(-puts));
          peak.putMs = Math.max(peak.putMs, performance.now() - at);
          puts++;
          if (puts % 100 === 0) {
            await client.compact(r.header!.revision);
            peak.memory = Math.max(peak.memory, memoryOf(member.pid).rssAnon);
            peak.disk = Math.max(peak.disk, diskBytesOf(member.options.dataDir));
          }
          const ahead = puts * 5 - (performance.now() - start);
          if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead));
        }
      })();

      const file = join(place.dir, 'snapshot.db');
      const started = performance.now();
      const { bytes, blobs } = await slowSnapshot(member.url, file);
      const tookMs = performance.now() - started;
      over = true;
      await load;

      expect(blobs).toBeGreaterThan(10);
      expect(bytes).toBeGreaterThan(keys * valueBytes);
      expect(tookMs).toBeGreaterThan(seconds * 900);
      expect(puts).toBeGreaterThan(seconds * 20);
      const memory = peak.memory - before.memory;
      const disk = peak.disk - before.disk;
      const written = puts * valueBytes;
      console.log(
        `snapshot of ${mb(bytes)} MB read in ${(tookMs / 1000).toFixed(1)} s beside ${puts} puts (${mb(written)} MB), slowest ${peak.putMs.toFixed(0)} ms; ` +
          `memory +${mb(memory)} MB (from ${mb(before.memory)}), disk +${mb(disk)} MB (from ${mb(before.disk)})`,
      );
      // The store's caches may fill meanwhile (96 MB); what the reader is behind must not lie in memory.
      expect(memory).toBeLessThan(120e6);
      // WAL and store get what is written; beside it at most the file that is sent, and the segments that it keeps.
      expect(disk).toBeLessThan(2 * written + 2 * bytes + 130e6);

      // It is the state of one moment.
      if (reference('etcdutl') !== undefined) {
        const r = await run(reference('etcdutl')!, ['snapshot', 'status', file, '-w', 'json']);
        expect(r.stderr).toBe('');
        const status = JSON.parse(r.stdout) as { revision: number; totalKey: number };
        expect(status.revision).toBeGreaterThanOrEqual(revision);
        expect(status.totalKey).toBeGreaterThanOrEqual(keys);
      }
      // Afterwards what it held is given back.
      client.close();
    },
    120_000 + seconds * 4000,
  );
});

/** Reads the stream no faster than `bytesPerSecond`, by HTTP/2's flow control, and checks its trailer. */
function slowSnapshot(url: string, path: string): Promise<{ bytes: number; blobs: number }> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(url, { settings: { initialWindowSize: 65_535 } });
    session.on('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/etcdserverpb.Maintenance/Snapshot',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const out = openSync(path, 'w');
    const digest = createHash('sha256');
    const start = performance.now();
    let held: Buffer = Buffer.alloc(0);
    let received = 0;
    let bytes = 0;
    let blobs = 0;
    let remaining = -1;
    let trailer: Uint8Array | undefined;
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length;
      held = Buffer.concat([held, chunk]);
      while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
        const end = 5 + held.readUInt32BE(1);
        const message = SnapshotResponse.decode(held.subarray(5, end));
        held = held.subarray(end);
        blobs++;
        writeSync(out, message.blob);
        if (remaining === 0) trailer = message.blob;
        else {
          if (remaining >= 0 && message.remainingBytes !== remaining - message.blob.length)
            reject(new Error('remaining_bytes does not add up'));
          remaining = message.remainingBytes;
          digest.update(message.blob);
          bytes += message.blob.length;
        }
      }
      const aheadMs = (received / bytesPerSecond) * 1000 - (performance.now() - start);
      if (aheadMs > 5) {
        stream.pause();
        setTimeout(() => stream.resume(), aheadMs);
      }
    });
    let trailers: IncomingHttpHeaders = {};
    stream.on('trailers', (headers) => (trailers = headers));
    // Trailers come when they are received; the end when all before it was read.
    stream.on('end', () => {
      closeSync(out);
      session.close();
      if (trailers['grpc-status'] !== '0') reject(new Error(`ended with ${String(trailers['grpc-message'])}`));
      else if (trailer === undefined || !digest.digest().equals(trailer)) reject(new Error('the hash does not fit'));
      else resolve({ bytes, blobs });
    });
    stream.on('error', reject);
    stream.end(Buffer.alloc(5));
  });
}
