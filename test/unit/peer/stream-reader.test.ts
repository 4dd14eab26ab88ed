// A stream on which nothing comes any more, against a peer of the test's own.
import { createServer } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { PeerClient } from '../../../src/server/peer/peer-client.ts';
import { StreamReader } from '../../../src/server/peer/stream-reader.ts';
import { until } from '../../support/member.ts';

it('keeps a stream that fell silent until another is there', async () => {
  const dials: { readonly answered: boolean; closed: boolean }[] = [];
  let answers = true;
  const server = createServer((_request, response) => {
    const dial = { answered: answers, closed: false };
    dials.push(dial);
    response.on('close', () => (dial.closed = true));
    if (!answers) return;
    response.writeHead(200, { 'X-Server-Version': '3.7.1' });
    response.flushHeaders();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const lookup: LookupFunction = (_host, _options, done) => done(null, '127.0.0.1', 4);
  const client = new PeerClient({ urls: [`http://127.0.0.1:${port}`], dialMs: 30_000, lookup });
  const downs: string[] = [];
  let ups = 0;
  const reader = new StreamReader({
    kind: 'message',
    own: { memberId: 1n, clusterId: 3n, serverVersion: '3.7.1', peerUrls: () => [] },
    peer: 2n,
    client,
    clock: new RealClock(),
    log: silentLog,
    readTimeoutMs: 1000,
    onMessage() {},
    onUp: () => ups++,
    onDown: (what, error) => downs.push(`${what}: ${error}`),
    onReceived() {},
    onRemoved() {},
  });
  try {
    reader.start();
    await until('a stream', () => ups >= 1);
    answers = false;
    await until('a dial that nobody answers', () => dials.some((d) => !d.answered));
    expect(downs[0]).toBe('read stream Message: i/o timeout');
    const live = dials.findLast((d) => d.answered);
    // The peer must not learn of it, or it would take another way for what it has to say.
    expect(live?.closed).toBe(false);
    await until('another one', () => dials.filter((d) => !d.answered).length >= 2 && dials.some((d) => !d.answered && d.closed));
    expect(live?.closed).toBe(false);
    const before = ups;
    answers = true;
    await until('the old stream to go', () => live?.closed === true);
    expect(ups).toBeGreaterThan(before);
  } finally {
    reader.stop();
    client.close();
    server.closeAllConnections();
    server.close();
  }
});
