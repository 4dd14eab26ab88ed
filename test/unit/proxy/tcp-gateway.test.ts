// The gateway's choice of members, and what goes through it.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/base/random.ts';
import { silentLog, type Log } from '../../../src/base/log.ts';
import { RealClock } from '../../../src/host/real-clock.ts';
import { TcpGateway, type GatewayTarget } from '../../../src/server/proxy/tcp-gateway.ts';
import { freePorts, until } from '../../support/member.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A server that says its name, then echoes until the client's end, then says goodbye. */
async function member(name: string, port = 0): Promise<{ port: number; server: Server; accepted: () => number }> {
  let accepted = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.write(name);
    socket.on('data', (d) => socket.write(d));
    socket.on('end', () => socket.end('bye'));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  ends.push(() => {
    for (const s of sockets) s.destroy();
    server.close();
  });
  return { port: (server.address() as { port: number }).port, server, accepted: () => accepted };
}

async function gatewayTo(targets: readonly Partial<GatewayTarget>[], retryMs = 50, log: Log = silentLog): Promise<TcpGateway> {
  const gateway = new TcpGateway({
    targets: targets.map((t) => ({ host: '127.0.0.1', port: 0, priority: 0, weight: 0, ...t })),
    retryMs,
    clock: new RealClock(),
    random: new SeededRandom(7),
    log,
  });
  await gateway.listen('127.0.0.1', 0);
  ends.push(() => gateway.close());
  return gateway;
}

/** Everything that comes back for what is sent, until the other side ends. Empty when the connection is refused or cut. */
function talk(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let got = '';
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(text));
    socket.setEncoding('latin1').on('data', (d: string) => (got += d));
    socket.on('end', () => resolve(got));
    socket.on('close', () => resolve(got));
    socket.on('error', () => resolve(got));
  });
}

describe('tcp gateway', () => {
  it('brings bytes both ways, half-closed connections too', async () => {
    const a = await member('a');
    const gateway = await gatewayTo([{ port: a.port }]);
    const text = 'x'.repeat(1_000_000);
    expect(await talk(gateway.port, text)).toBe(`a${text}bye`);
    await until('the gateway to forget the connection', () => gateway.connections === 0);
  });

  it('takes members in turn', async () => {
    const [a, b] = [await member('a'), await member('b')];
    const gateway = await gatewayTo([{ port: a.port }, { port: b.port }]);
    const said = [];
    for (let i = 0; i < 4; i++) said.push((await talk(gateway.port, '')).charAt(0));
    expect(said.sort().join('')).toBe('aabb');
  });

  it('keeps to the best priority, and to weights within it', async () => {
    const [a, b, c] = [await member('a'), await member('b'), await member('c')];
    const gateway = await gatewayTo([
      { port: a.port, priority: 1, weight: 90 },
      { port: b.port, priority: 1, weight: 10 },
      { port: c.port, priority: 2, weight: 100 },
    ]);
    for (let i = 0; i < 60; i++) await talk(gateway.port, '');
    expect(c.accepted()).toBe(0);
    expect(a.accepted()).toBeGreaterThan(b.accepted());
  });

  it('passes over a member that refuses, and takes it back when it listens again', async () => {
    const [away = 0] = await freePorts(1);
    const a = await member('a');
    const lines: string[] = [];
    const log: Log = { ...silentLog, info: (m) => void lines.push(m), warn: (m) => void lines.push(m) };
    const gateway = await gatewayTo([{ port: away }, { port: a.port }], 50, log);
    for (let i = 0; i < 4; i++) expect(await talk(gateway.port, '')).toBe('abye');
    expect(lines).toContain('deactivated endpoint');
    await until('an attempt', () => lines.includes('failed to activate endpoint (stay inactive for another interval)'));
    await member('b', away);
    await until('the member to be back', () => lines.includes('activated'));
    await until('a connection to it', async () => (await talk(gateway.port, '')) === 'bbye');
  });

  it('ends a client when no member is there', async () => {
    const [away = 0] = await freePorts(1);
    const gateway = await gatewayTo([{ port: away }], 60_000);
    expect(await talk(gateway.port, 'hello')).toBe('');
    await until('the gateway to forget the connection', () => gateway.connections === 0);
  });
});
