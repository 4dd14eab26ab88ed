// Bytes by chance, from a seed, wherever bytes come in: no crash, no hang, no growth.
// Longer: TSETCD_RANDOM_INPUTS=200000 TSETCD_SEED=1 npx vitest run test/robustness/random-bytes.test.ts
import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect as connectTcp, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { methods } from '../../src/api/gen/methods.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { connect, rpc, type Client } from '../../src/client/index.ts';
import { revokedSerials } from '../../src/host/crl.ts';
import { examine, issueCertificate, makeAuthority } from '../../src/host/certificates.ts';
import { messageToJson } from '../../src/server/http/proto-json.ts';
import { block, frame, grpcFields, message, parseFrames, preface, u32 } from '../conformance/wire/raw.ts';
import { freePorts, MemberProcess, scratch, until } from '../support/member.ts';

const inputs = Number(process.env['TSETCD_RANDOM_INPUTS'] ?? 4000);
const seed = Number(process.env['TSETCD_SEED'] ?? 77);
const growthMax = 64 << 20;
/** Calls that change who may do what, or that wait: their bodies are sent to others. */
const harmless = methods.filter(
  (m) => !/Auth(Enable|Disable)|User|Role|Snapshot|Defragment|MoveLeader|Downgrade|Member|Alarm|Lock|Campaign/.test(m.path),
);

const place = scratch();
const pki = join(place.dir, 'pki');
const secret = randomBytes(32);
let member: MemberProcess;
let tlsPort = 0;
let client: Client;
let hello: Buffer;
let rssBefore = 0;

const rssAnon = (): number => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${member.pid}/status`, 'utf8'))?.[1]) * 1024;

/** What a client of TLS says first, with a name of a server in it. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const duplex = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(Buffer.from(chunk));
        done();
      },
    });
    const tls = connectTls({ socket: duplex, servername: 'member.example.net', ALPNProtocols: ['h2'] });
    tls.on('error', () => undefined);
  });
}

/** Sends bytes over a connection of its own and waits for its end, or an answer, or a moment. */
function send(port: number, pieces: readonly Buffer[]): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connectTcp(port, '127.0.0.1', () => {
      for (const p of pieces) socket.write(p);
      socket.end();
    });
    const over = (): void => {
      socket.destroy();
      resolve();
    };
    socket.on('data', over);
    socket.on('close', over);
    socket.on('error', over);
    socket.setTimeout(2_000, over);
  });
}

async function each(n: number, atOnce: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < n) await work(next++);
    }),
  );
}

function mutated(r: SeededRandom, from: Uint8Array): Buffer {
  let out = Buffer.from(from);
  for (let n = r.u32() % 4; n >= 0 && out.length > 0; n--) {
    const at = r.u32() % out.length;
    switch (r.u32() % 5) {
      case 0:
        out[at] = r.u32() & 255;
        break;
      case 1:
        out = out.subarray(0, at);
        break;
      case 2:
        out = Buffer.concat([out.subarray(0, at), r.bytes(r.u32() % 20), out.subarray(at)]);
        break;
      case 3:
        out = Buffer.concat([out.subarray(0, at), out.subarray(Math.min(out.length, at + (r.u32() % 10)))]);
        break;
      default:
        out.fill(r.float() < 0.5 ? 0 : 255, at, Math.min(out.length, at + (r.u32() % 8)));
    }
  }
  return out;
}

beforeAll(async () => {
  mkdirSync(pki);
  const made = { days: 30, nowMs: Date.now(), force: true };
  await makeAuthority(pki, { name: 'random', ...made });
  await issueCertificate(pki, { name: 'm', commonName: 'm', purpose: 'member', hosts: ['localhost', '127.0.0.1'], ...made });
  writeFileSync(join(place.dir, 'jwt'), secret);
  const [clientPort = 0, peerPort = 0, port = 0] = await freePorts(3);
  tlsPort = port;
  member = new MemberProcess({
    dataDir: join(place.dir, 'data'),
    clientPort,
    peerPort,
    args: [
      ...['--listen-client-urls', `http://127.0.0.1:${clientPort},https://127.0.0.1:${port}`, '--log-level', 'error', '--bcrypt-cost', '4'],
      ...[
        '--cert-file',
        join(pki, 'm.crt'),
        '--key-file',
        join(pki, 'm.key'),
        '--trusted-ca-file',
        join(pki, 'ca.crt'),
        '--client-cert-auth',
      ],
      ...['--auth-token', `jwt,sign-method=HS256,priv-key=${join(place.dir, 'jwt')}`],
    ],
  });
  await member.start();
  const setup = connect({ endpoints: [member.endpoint], requestTimeoutMs: 30_000 });
  await setup.call(rpc.Auth.userAdd, { name: 'root', password: 'long-enough' });
  await setup.call(rpc.Auth.userGrantRole, { user: 'root', role: 'root' });
  await setup.call(rpc.Auth.authEnable, {});
  await setup.close();
  client = connect({ endpoints: [member.endpoint], username: 'root', password: 'long-enough', requestTimeoutMs: 30_000 });
  await client.put('k', 'v');
  hello = await clientHello();
});
afterAll(async () => {
  await client?.close();
  await member?.stop('SIGKILL');
  place.remove();
});

/** It answers, and is the same process. */
async function fine(): Promise<void> {
  expect((await client.get('k')).kvs.length).toBe(1);
  expect(member.child?.exitCode).toBe(null);
}

describe(`random bytes (${inputs} inputs, seed ${seed})`, () => {
  const share = (part: number): number => Math.ceil(inputs * part);

  it('on the client port, bare, behind a preface, and as HTTP/1.1', async () => {
    const r = new SeededRandom(seed);
    const first = [
      Buffer.alloc(0),
      preface,
      Buffer.concat([preface, frame(4, 0, 0)]),
      Buffer.from('POST /v3/kv/range HTTP/1.1\r\nHost: a\r\n'),
    ];
    await each(share(0.12), 16, () =>
      send(member.options.clientPort, [first[r.u32() % first.length] as Buffer, Buffer.from(r.bytes(1 + (r.u32() % 2000)))]),
    );
    await fine();
    // From here on nothing is new to the member.
    rssBefore = rssAnon();
  }, 1_200_000);

  it('on the peer port, bare and as messages of raft', async () => {
    const r = new SeededRandom(seed + 1);
    const paths = [
      '/raft',
      '/raft/snapshot',
      '/leases',
      '/leases/internal',
      '/raft/stream/message/1',
      '/members/promote/7',
      '/members/hashkv',
      '/version',
    ];
    const head = (length: number): Buffer =>
      Buffer.from(
        `POST ${paths[r.u32() % paths.length]} HTTP/1.1\r\nHost: p\r\nX-Etcd-Cluster-ID: ${Buffer.from(r.bytes(4)).toString('hex')}\r\n` +
          `X-Server-From: ${r.u32().toString(16)}\r\nX-Server-Version: 3.7.1\r\nX-Min-Cluster-Version: 3.0.0\r\nContent-Length: ${length}\r\n\r\n`,
      );
    await each(share(0.12), 16, () => {
      const body = Buffer.from(r.bytes(r.u32() % 300));
      return send(member.options.peerPort, r.float() < 0.4 ? [body] : [head(body.length), body]);
    });
    await fine();
  }, 1_200_000);

  it('as JSON', async () => {
    const r = new SeededRandom(seed + 2);
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const routes = harmless.filter((m) => m.httpPath !== '' && !m.responseStream);
    const alphabet = ['{', '}', '[', ']', '"', ':', ',', '1e9', '-', '\\u0000', 'null', 'true', 'key', 'AAAA', '\u{1f600}', '\\'];
    const post = (path: string, body: string | Buffer): Promise<void> =>
      new Promise((resolve) => {
        const q = request({ host: '127.0.0.1', port: member.options.clientPort, path, method: 'POST', agent }, (a) => {
          a.on('end', resolve);
          a.resume();
        });
        q.on('error', () => resolve());
        q.setTimeout(30_000, () => q.destroy());
        q.end(body);
      });
    await each(share(0.2), 16, () => {
      const m = routes[r.u32() % routes.length] as (typeof routes)[number];
      const body =
        r.float() < 0.4
          ? Array.from({ length: r.u32() % 40 }, () => alphabet[r.u32() % alphabet.length]).join('')
          : mutated(
              r,
              Buffer.from(
                messageToJson(m.request.typeName, m.request.decode(m.request.encode({ key: r.bytes(8), ID: 5n } as never)) as object),
              ),
            );
      return post(m.httpPath, body);
    });
    agent.destroy();
    await fine();
  }, 1_200_000);

  it('as bodies of gRPC calls, and as JWTs', async () => {
    const r = new SeededRandom(seed + 3);
    const part = (o: object): string => Buffer.from(JSON.stringify(o)).toString('base64url');
    const jwt = (): string => {
      const header = part({ alg: 'HS256', typ: 'JWT' });
      const claims = part({
        username: 'root',
        revision: r.u32() % 9,
        exp: 4_000_000_000,
        ...(r.float() < 0.3 ? { [`${r.u32() % 5}`]: null } : {}),
      });
      const whole = `${header}.${claims}.${createHmac('sha256', secret).update(`${header}.${claims}`).digest('base64url')}`;
      return mutated(r, Buffer.from(whole))
        .toString('latin1')
        .replace(/[^\x21-\x7e]/g, '.');
    };
    const perConnection = 100;
    const calls = (n: number): Promise<void> =>
      new Promise((resolve) => {
        const frames: Buffer[] = [
          preface,
          frame(4, 0, 0, Buffer.concat([Buffer.from([0, 4]), u32(1 << 20)])),
          frame(8, 0, 0, u32(1 << 28)),
        ];
        for (let i = 0; i < n; i++) {
          const m = harmless[r.u32() % harmless.length] as (typeof harmless)[number];
          const id = 1 + 2 * i;
          const body = r.float() < 0.5 ? Buffer.from(r.bytes(r.u32() % 60)) : mutated(r, m.request.encode({ key: r.bytes(6) } as never));
          const whole = r.float() < 0.9 ? message(body) : mutated(r, message(body));
          const token = r.float() < 0.6 ? [['token', jwt()] as const] : [];
          frames.push(frame(1, 4, id, block(grpcFields(m.path, token))), frame(0, 1, id, whole));
        }
        const socket = connectTcp(member.options.clientPort, '127.0.0.1', () => socket.write(Buffer.concat(frames)));
        const ended = new Set<number>();
        let rest: Buffer = Buffer.alloc(0);
        const over = (): void => {
          socket.destroy();
          resolve();
        };
        socket.on('data', (d: Buffer) => {
          const parsed = parseFrames(Buffer.concat([rest, d]));
          rest = parsed.rest;
          for (const f of parsed.frames) if ((f.flags & 1) !== 0 || f.type === 3) ended.add(f.id);
          if (ended.size >= n) over();
        });
        // Streams without an end (watches) are given up.
        socket.setTimeout(300, over);
        socket.on('error', over);
        socket.on('close', over);
      });
    await each(Math.ceil(share(0.45) / perConnection), 4, () => calls(perConnection));
    await fine();
  }, 1_200_000);

  it('S-069: as what a client of TLS says, its name of the server included', async () => {
    const r = new SeededRandom(seed + 4);
    const at = hello.indexOf('member.example.net');
    expect(at).toBeGreaterThan(0);
    const names = ['', '\0', '\xff\xfe', '..', 'a'.repeat(18), '127.0.0.1', '\r\n\r\n', '*', '__proto__'];
    await each(share(0.06), 16, (i) => {
      const bytes = Buffer.from(hello);
      if (i % 2 === 0) bytes.fill((names[r.u32() % names.length] as string) || '\0', at, at + 18, 'latin1');
      return send(tlsPort, [i % 2 === 0 ? bytes : mutated(r, bytes), Buffer.from(r.bytes(r.u32() % 100))]);
    });
    await fine();
  }, 1_200_000);

  it('as certificates and revocation lists', () => {
    const r = new SeededRandom(seed + 5);
    const pem = readFileSync(join(pki, 'm.crt'));
    const der = Buffer.from(pem.toString('latin1').replace(/-----[^-]+-----|\s/g, ''), 'base64');
    const file = join(place.dir, 'fuzz.crt');
    const options = {
      keyFile: join(pki, 'm.key'),
      caFile: join(pki, 'ca.crt'),
      purpose: 'member',
      hosts: ['127.0.0.1'],
      commonName: 'm',
    } as const;
    for (let i = 0; i < share(0.05); i++) {
      const bytes = mutated(r, der);
      const text = `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`;
      writeFileSync(file, r.float() < 0.8 ? text : mutated(r, pem));
      expect(() => examine({ ...options, certFile: file, nowMs: Date.now() })).not.toThrow();
      try {
        revokedSerials(mutated(r, bytes));
      } catch (error) {
        expect((error as Error).message).toMatch(/^x509|larger/);
      }
    }
  }, 1_200_000);

  it('leaves no more behind than it found', async () => {
    await until('the memory to settle', () => rssAnon() - rssBefore < growthMax, 60_000);
    await fine();
    expect(member.log).not.toMatch(/"level":"(fatal|panic)"/);
  });
});
