// Every row of etcd's HTTP table for the client and metrics ports: asked of a member, or with a reason where another test asks.
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts, type MemberProcess, oneMember } from '../../support/member.ts';
import { surfaceTable } from './surface-table.ts';

/** Rows that need a state of their own, and where they are tested. */
const elsewhere: readonly (readonly [(row: Readonly<Record<string, string>>) => boolean, string])[] = [
  [(r) => r['listener'] === 'peer', 'peer protocol: test/unit/peer, test/robustness, test/conformance/mixed'],
  [(r) => r['listener'] === 'grpc-proxy', 'the proxy’s own tests'],
  [(r) => (r['query_or_request_headers'] ?? '').includes('Host not in'), '--host-whitelist: test/robustness/bad-input'],
  [(r) => (r['query_or_request_headers'] ?? '').includes('TLS client cert'), 'auth: test/unit/auth'],
  [(r) => r['status'] === '503', 'needs an alarm or a lost leader: test/data/api recordings'],
  [(r) => (r['path'] ?? '').includes('gRPC code map') || (r['path'] ?? '').includes('streaming'), 'test/data/api recordings'],
  [(r) => (r['path'] ?? '') === '(no HTTP binding)', 'no path'],
];

function ask(
  url: string,
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const r = request(url, { method, path, headers, agent: false, timeout: 20_000 }, (response) => {
      let text = '';
      const done = (): void => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      response.setEncoding('utf8').on('data', (d: string) => {
        text += d;
        // A stream that goes on: the first line is enough.
        if (path.startsWith('/v3/') && text.includes('\n')) {
          done();
          r.destroy();
        }
      });
      response.on('end', done);
      response.on('error', () => done());
    });
    r.on('error', reject);
    r.on('timeout', () => r.destroy(new Error('timeout')));
    r.end(body);
  });
}

/** Bodies of calls that would wait, or change what other rows see. */
const bodies: Readonly<Record<string, string>> = {
  '/v3/watch': '{"create_request":{"key":"YQ=="}}',
  '/v3/lease/keepalive': '{"ID":1}',
  '/v3/maintenance/snapshot': '{',
  '/v3/election/observe': '{',
  '/v3/election/campaign': '{',
  '/v3/lock/lock': '{',
  '/v3/auth/enable': '{',
  '/v3/maintenance/downgrade': '{"action":"CANCEL"}',
};

describe('HTTP paths', () => {
  let member: MemberProcess & { remove(): Promise<void> };
  let metricsUrl = '';
  beforeAll(async () => {
    const [port = 0] = await freePorts(1);
    metricsUrl = `http://127.0.0.1:${port}`;
    member = await oneMember({ args: ['--listen-metrics-urls', metricsUrl, '--enable-pprof'] });
  }, 60_000);
  afterAll(() => member?.remove());

  const rows = surfaceTable('http').map(
    (r) => [`${r['listener']} ${r['method']} ${r['path']} ${r['query_or_request_headers']} ${r['status']}`, r] as const,
  );
  it.each(rows)('%s', async (_, row) => {
    if (elsewhere.some(([is]) => is(row))) return;
    const listeners = (row['listener'] ?? '').split(',');
    const method = /^(\*|non-GET)$/.test(row['method'] ?? '') ? (row['method'] === '*' ? 'GET' : 'POST') : (row['method'] ?? 'GET');
    const query = /^(serializable=true|exclude=NOSPACE|exclude=<check>|verbose)/.exec(row['query_or_request_headers'] ?? '')?.[0] ?? '';
    const status = (row['status'] ?? '').split('|').map(Number);
    for (const path of (row['path'] ?? '').split(/ or |(?<=z)\|(?=\/)/)) {
      let plain = path
        .replace(/ \(all\)$/, '')
        .replace('/*', '/kv/put')
        .replace('/...', '/kv/put')
        .replace('<unknown>', 'nosuch');
      if (!plain.startsWith('/')) plain = '/nosuch';
      if (query !== '') plain += `?${query.replace('<check>', 'data_corruption')}`;
      if (/pprof\/(profile|heap)$/.test(plain)) plain += '?seconds=1';
      for (const listener of listeners) {
        const url = listener === 'metrics' ? metricsUrl : member.url;
        const body = method === 'POST' && plain.startsWith('/v3') ? (bodies[plain] ?? '{}') : undefined;
        const answer = await ask(url, method, plain, body);
        if (plain.startsWith('/debug/pprof/')) {
          // Kinds that V8 has not say why.
          expect([200, 404]).toContain(answer.status);
          if (answer.status === 404) expect(answer.body).toContain('in Node');
        } else if (plain.startsWith('/v3/') || plain.startsWith('/v3beta/')) {
          // The path leads to its call: what that says of an empty request is its own matter.
          expect(answer.headers['content-type'] ?? 'application/json').toContain('application/json');
          expect(answer.body).not.toContain('"message":"Not Found"');
          expect(answer.status).not.toBe(501);
        } else if (!status.every(Number.isNaN) && row['status'] !== '') expect(status, `${method} ${plain}`).toContain(answer.status);
        const type = /Content-Type: ([^|]+?)(?: \||$)/.exec(row['response_headers'] ?? '')?.[1];
        if (type !== undefined && answer.status === 200 && !plain.startsWith('/v3')) expect(answer.headers['content-type']).toBe(type);
        if ((row['response_headers'] ?? '').includes('Allow: GET')) expect(answer.headers['allow']).toBe('GET');
        if (listener === 'client') expect(answer.headers['access-control-allow-origin']).toBe('*');
      }
    }
  });

  it('changes the level of the log while it runs', async () => {
    expect((await ask(member.url, 'GET', '/debug/log/level')).body).toBe('{"level":"info"}\n');
    expect((await ask(member.url, 'PUT', '/debug/log/level', '{"level":"debug"}')).body).toBe('{"level":"debug"}\n');
    expect((await ask(member.url, 'PUT', '/debug/log/level', '{"level":"loud"}')).status).toBe(400);
    expect((await ask(member.url, 'PUT', '/debug/log/level', '{"level":"info"}')).status).toBe(200);
  });

  it('takes profiles of V8', async () => {
    const cpu = JSON.parse((await ask(member.url, 'GET', '/debug/pprof/profile?seconds=1')).body) as { nodes: unknown[] };
    expect(cpu.nodes.length).toBeGreaterThan(0);
    const heap = JSON.parse((await ask(member.url, 'GET', '/debug/pprof/heap?seconds=1')).body) as { head: unknown };
    expect(heap.head).toBeDefined();
    expect((await ask(member.url, 'GET', '/debug/pprof/profile?seconds=x')).status).toBe(400);
  });
});
