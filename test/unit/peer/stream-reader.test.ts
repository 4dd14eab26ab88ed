// A stream on which nothing comes any more, or which nobody read for long, against a peer of the test's own.
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { expect, it } from 'vitest';
import { MessageCodec } from '../../../src/api/gen/raftpb.ts';
import { silentLog } from '../../../src/base/log.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { MessageType } from '../../../src/raft/types.ts';
import { encoderOf } from '../../../src/server/peer/framing.ts';
import { PeerClient } from '../../../src/server/peer/peer-client.ts';
import { StreamReader, type StreamReaderOptions } from '../../../src/server/peer/stream-reader.ts';
import { until } from '../../support/member.ts';

const readTimeoutMs = 1000;

/** Time that passes only while this process runs: a busy machine is not taken for one that stood still. */
class RunningTime extends RealClock {
  #ms = 0;
  readonly #timer = setInterval(() => (this.#ms += 10), 10);

  override mono(): number {
    return this.#ms;
  }
  stop(): void {
    clearInterval(this.#timer);
  }
}

/** A reader that dials this server, not started yet. */
function readerOf(server: Server, options: Partial<StreamReaderOptions>): { reader: StreamReader; downs: string[]; close: () => void } {
  const { port } = server.address() as AddressInfo;
  const lookup: LookupFunction = (_host, _options, done) => done(null, '127.0.0.1', 4);
  const client = new PeerClient({ urls: [`http://127.0.0.1:${port}`], dialMs: 30_000, lookup });
  const downs: string[] = [];
  const reader = new StreamReader({
    kind: 'message',
    own: { memberId: 1n, clusterId: 3n, serverVersion: '3.7.1', peerUrls: () => [] },
    peer: 2n,
    client,
    clock: new RealClock(),
    log: silentLog,
    readTimeoutMs,
    onMessage() {},
    onUp() {},
    onDown: (what, error) => downs.push(`${what}: ${error}`),
    onReceived() {},
    onRemoved() {},
    ...options,
  });
  const close = (): void => {
    reader.stop();
    client.close();
    server.closeAllConnections();
    server.close();
  };
  return { reader, downs, close };
}

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
  const clock = new RunningTime();
  let ups = 0;
  const { reader, downs, close } = readerOf(server, { clock, onUp: () => ups++ });
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
    clock.stop();
    close();
  }
});

it('drops what waited in a stream while this process stood still', async () => {
  const streams: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    streams.push(response);
    response.writeHead(200, { 'X-Server-Version': '3.7.1' });
    response.flushHeaders();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const encoder = encoderOf('message');
  const send = (term: number): void => {
    encoder.message({ ...MessageCodec.create(), type: MessageType.MsgHeartbeat, to: 1n, from: 2n, term });
    const stream = streams.at(-1);
    stream?.write(encoder.take());
    // Now, not when this turn is over.
    stream?.socket?.uncork();
  };
  const terms: number[] = [];
  const { reader, downs, close } = readerOf(server, { onMessage: (m) => terms.push(m.term) });
  try {
    reader.start();
    await until('a stream', () => streams.length === 1);
    await until('a message', () => {
      send(1);
      return terms.includes(1);
    });
    downs.length = 0;
    const before = streams.length;
    send(2);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * readTimeoutMs);
    await until('another stream', () => streams.length > before);
    expect(downs[0]).toBe('read stream Message: i/o timeout');
    await until('what comes now', () => {
      send(3);
      return terms.includes(3);
    });
    expect(terms).not.toContain(2);
  } finally {
    close();
  }
});
