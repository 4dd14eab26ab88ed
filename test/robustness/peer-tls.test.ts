// Three members that talk TLS to each other, one of them a real etcd where there is one: certificates change under load, strangers stay out.
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { Authority, type Pair } from '../support/certificates.ts';
import { freePorts, MemberProcess, reference, scratch, until } from '../support/member.ts';

const place = scratch();
const live = `${place.dir}/live`;
const authority = new Authority(`${place.dir}/ca`);
const stranger = new Authority(`${place.dir}/stranger`);
const pairs = [
  authority.issue('p0', { cn: 'member', san: 'IP:127.0.0.1' }),
  authority.issue('p1', { cn: 'member', san: 'IP:127.0.0.1' }),
] as const;
const started: MemberProcess[] = [];

async function cluster(kinds: readonly ('tsetcd' | 'etcd')[], name: string, args: readonly string[]): Promise<MemberProcess[]> {
  const ports = await freePorts(kinds.length * 2);
  const peer = (i: number): string => `https://127.0.0.1:${ports[2 * i + 1]}`;
  const all = kinds.map((_, i) => `${name}${i}=${peer(i)}`).join(',');
  const members = kinds.map(
    (kind, i) =>
      new MemberProcess({
        name: `${name}${i}`,
        kind,
        dataDir: `${place.dir}/${name}${i}`,
        clientPort: ports[2 * i] ?? 0,
        peerPort: ports[2 * i + 1] ?? 0,
        // Later flags win.
        args: ['--listen-peer-urls', peer(i), '--initial-advertise-peer-urls', peer(i), '--initial-cluster', all, ...args],
      }),
  );
  for (const m of members) {
    m.spawn();
    started.push(m);
  }
  for (const m of members) await m.ready();
  return members;
}

function present(pair: Pair): void {
  copyFileSync(pair.cert, `${live}/peer.pem`);
  copyFileSync(pair.key, `${live}/peer.key`);
}

/** Status of a peer's version page. */
function ask(member: MemberProcess, pair: Pair | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const own = pair === undefined ? {} : { cert: readFileSync(pair.cert), key: readFileSync(pair.key) };
    const url = `https://127.0.0.1:${member.options.peerPort}/version`;
    request(url, { agent: false, ca: readFileSync(authority.ca), ...own }, (r) => resolve(r.resume().statusCode ?? 0))
      .on('error', reject)
      .end();
  });
}

beforeAll(() => {
  mkdirSync(live);
  present(pairs[0]);
  copyFileSync(authority.ca, `${live}/ca.pem`);
});
afterAll(async () => {
  for (const m of started) await m.stop('SIGKILL');
  place.remove();
});

describe('members that talk TLS to each other', () => {
  it('S-097: carry on through a rotation of certificates and a restart, and let no stranger in', async () => {
    const [a, b, c] = (await cluster(['tsetcd', 'tsetcd', reference('etcd') === undefined ? 'tsetcd' : 'etcd'], 'm', [
      ...['--peer-cert-file', `${live}/peer.pem`, '--peer-key-file', `${live}/peer.key`, '--peer-trusted-ca-file', `${live}/ca.pem`],
      ...['--peer-client-cert-auth', '--peer-cert-allowed-cn', 'member'],
    ])) as [MemberProcess, MemberProcess, MemberProcess];
    expect(await ask(a, pairs[0])).toBe(200);
    const others: [Pair | undefined, string][] = [
      [undefined, "tls: client didn't provide a certificate"],
      [stranger.issue('s', { cn: 'member' }), 'x509: certificate signed by unknown authority'],
      [authority.issue('other'), 'client certificate authentication failed'],
      [authority.issue('away', { cn: 'member', san: 'IP:10.9.8.7' }), 'x509: certificate is valid for 10.9.8.7, not 127.0.0.1'],
    ];
    for (const [pair, words] of others) {
      await expect(ask(a, pair)).rejects.toThrow();
      await until('the refusal in the log', () => a.log.includes('"rejected connection on peer endpoint"') && a.log.includes(words));
    }

    const client = connect({ endpoints: [a.endpoint], requestTimeoutMs: 5000 });
    let stop = false;
    let done = 0;
    const failures: unknown[] = [];
    const load = (async () => {
      while (!stop && failures.length === 0)
        await client.put('k', String(done)).then(
          () => done++,
          (e: unknown) => failures.push(e),
        );
    })();
    try {
      for (const pair of [pairs[1], pairs[0], pairs[1]]) {
        const seen = done;
        present(pair);
        expect(await ask(a, pair)).toBe(200);
        await until('further writes', () => failures.length > 0 || done > seen + 20);
      }
    } finally {
      stop = true;
      await load;
    }
    expect(failures).toEqual([]);
    // A member that was away dials and is dialled with the new ones.
    for (const m of [b, c]) {
      await m.stop('SIGKILL');
      await m.start();
      const there = connect({ endpoints: [m.endpoint], requestTimeoutMs: 8000 });
      await there.put('after', m.options.name ?? '');
      await there.close();
    }
    await client.close();
  }, 60_000);

  it('make their own certificates', async () => {
    const [a] = (await cluster(['tsetcd', 'tsetcd'], 'auto', ['--peer-auto-tls'])) as [MemberProcess];
    const client = connect({ endpoints: [a.endpoint], requestTimeoutMs: 8000 });
    await client.put('k', 'v');
    await client.close();
  }, 60_000);
});
