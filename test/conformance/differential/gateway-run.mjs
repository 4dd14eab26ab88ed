// Random HTTP requests, good and bad, to the client ports: JSON of every spelling, wrong paths, methods and headers.
import { request as httpRequest } from 'node:http';
import { Generator } from './generate.mjs';
import { root } from './target.mjs';

const services = ['KV', 'Lease', 'Maintenance', 'Cluster', 'Auth'];
/** Would change more than one answer, or wait. */
const avoided = new Set([
  'Hash',
  'Status',
  'AuthEnable',
  'Snapshot',
  'Defragment',
  'LeaseKeepAlive',
  'Watch',
  'Alarm',
  'Downgrade',
  'MemberAdd',
  'MemberRemove',
  'MemberUpdate',
]);

const routes = services.flatMap((s) =>
  Object.values(root.lookupService(`etcdserverpb.${s}`).methods)
    .filter((m) => m.options?.['(google.api.http).post'] !== undefined && !avoided.has(m.name))
    .map((m) => ({ path: m.options['(google.api.http).post'], type: root.lookupType(`etcdserverpb.${m.requestType}`), name: m.name })),
);

/** Headers that are compared; others are of the HTTP library. */
const headers = [
  'content-type',
  'grpc-metadata-content-type',
  'allow',
  'x-content-type-options',
  'trailer',
  'location',
  'access-control-allow-origin',
  'access-control-allow-methods',
  'access-control-allow-headers',
  'vary',
  'content-length',
];

function ask(server, { method, path, headers: sent = {}, body, firstLine }) {
  return new Promise((resolve) => {
    const r = httpRequest(
      server.url,
      {
        method,
        path,
        headers: { ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }), ...sent },
        agent: false,
        timeout: 15_000,
      },
      (response) => {
        const parts = [];
        const done = () => {
          // Go's protojson varies a blank, by build.
          const text = Buffer.concat(parts).toString('utf8').replaceAll('\u00a0', ' ');
          const of = Object.fromEntries(headers.filter((h) => response.headers[h] !== undefined).map((h) => [h, response.headers[h]]));
          // Go's protojson puts a blank behind commas, by build.
          if (parts.length > 0 || method === 'HEAD' || firstLine) delete of['content-length'];
          resolve({ status: response.statusCode, headers: of, body: parsed(text) });
        };
        response.on('data', (d) => {
          parts.push(d);
          if (firstLine && d.includes(10)) {
            done();
            r.destroy();
          }
        });
        response.on('end', done);
        response.on('error', () => resolve({ broken: true }));
      },
    );
    r.on('error', (e) => resolve({ failed: e.code }));
    r.on('timeout', () => {
      resolve({ failed: 'timeout' });
      r.destroy();
    });
    r.end(body);
  });
}

/** JSON as values when it is what a gateway answers, so that ids can be compared; else as text. */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    // Ids of leases are random.
    return { json: JSON.parse(JSON.stringify(value).replace(/"\d{17,}"/g, '"an id"')), end: /\s*$/.exec(text)[0] };
  } catch {
    return text;
  }
}

const int64s = (g) => {
  const { rng } = g;
  const n = g.revision;
  return rng.pick([
    () => `"${rng.int(n + 2)}"`,
    () => String(rng.int(n + 2)),
    () => '0',
    () => '"0"',
    () => '-1',
    () => '"-1"',
    () => '1.0',
    () => '"1.0"',
    () => '1e0',
    () => '"1e0"',
    () => '1.5',
    () => '"9223372036854775807"',
    () => '9223372036854775807',
    () => '9223372036854775808',
    () => '"-9223372036854775809"',
    () => '" 1"',
    () => '""',
    () => '"x"',
    () => 'true',
    () => '{}',
    () => '[]',
    () => '-0',
    () => '01',
    () => '+1',
    () => '.5',
    () => '1.',
    () => '1e400',
    () => '0x1',
    () => 'NaN',
    () => '"NaN"',
    () => '"Infinity"',
  ])();
};

function jsonValue(g, field, depth) {
  const { rng } = g;
  if (rng.chance(0.03)) return 'null';
  if (rng.chance(0.02))
    return rng.pick([
      '1',
      '"x"',
      'true',
      '[]',
      '{}',
      '[1]',
      '{"a":1}',
      '',
      'nul',
      "'x'",
      '"\\x"',
      '"\\ud800"',
      '"\u0001"',
      '"unterminated',
    ]);
  field.resolve();
  if (field.resolvedType?.fields !== undefined) return jsonMessage(g, field.resolvedType, depth + 1);
  if (field.resolvedType?.values !== undefined) {
    return rng.pick([
      ...Object.keys(field.resolvedType.values).map((v) => `"${v}"`),
      ...Object.values(field.resolvedType.values).map(String),
      '"nosuch"',
      '7',
      '-1',
      '"1"',
      '1.0',
      '1.5',
      'true',
      '""',
      '3000000000',
    ]);
  }
  switch (field.type) {
    case 'bytes': {
      const b = g.key();
      const std = b.toString('base64');
      return rng.weighted([
        [8, `"${std}"`],
        [1, `"${b.toString('base64url')}"`],
        [1, `"${std.replace(/=+$/, '')}"`],
        [0.5, `"${std}="`],
        [0.3, '"a"'],
        [0.3, '"*"'],
        [0.3, '"a b="'],
        [0.3, '"YQ==\\n"'],
        [0.3, '"-_+/"'],
        [0.3, '"\\u0059Q=="'],
        [0.3, '1'],
        [0.3, 'true'],
        [0.3, '[1]'],
      ]);
    }
    case 'bool':
      return rng.weighted([
        [5, 'true'],
        [4, 'false'],
        [0.3, '"true"'],
        [0.3, '1'],
        [0.2, '""'],
      ]);
    case 'string':
      return rng.weighted([
        [5, `"${rng.pick(['', 'ann', 'bob', 'r1', 'root'])}"`],
        [0.3, '"\\u00e9\\n"'],
        [0.3, '1'],
        [0.3, 'true'],
      ]);
    default:
      if (field.name === 'TTL') return rng.chance(0.8) ? `${5000 + rng.int(9) * 1000}` : rng.pick(['"x"', '9000000001', '"6000"', '6e3']);
      return rng.chance(0.55) ? `"${rng.int(g.revision + 2)}"` : int64s(g);
  }
}

function jsonMessage(g, type, depth = 0) {
  const { rng } = g;
  const entries = [];
  for (const f of type.fieldsArray) {
    const wanted = f.name === 'key' ? 0.95 : f.name === 'value' ? 0.6 : f.name === 'TTL' ? 1 : f.repeated ? 0.5 : 0.18;
    if (!rng.chance(wanted) || (depth > 3 && f.repeated)) continue;
    // What a real etcd does not survive, or what would answer differently each time.
    if (['ignore_value', 'ignore_lease', 'hashedPassword', 'physical', 'no_password'].includes(f.name)) continue;
    if (f.partOf !== null && f.partOf !== undefined && entries.some((e) => e.oneof === f.partOf.name) && rng.chance(0.9)) continue;
    const name = rng.chance(0.25) ? f.name.replace(/_([a-z])/g, (_, c) => c.toUpperCase()) : f.name;
    const value = f.repeated
      ? rng.chance(0.95)
        ? `[${Array.from({ length: rng.int(3) }, () => jsonValue(g, f, depth)).join(',')}]`
        : jsonValue(g, f, depth)
      : jsonValue(g, f, depth);
    entries.push({ text: `"${name}":${value}`, oneof: f.partOf?.name });
    if (rng.chance(0.01)) entries.push({ text: `"${f.name}":${value}` });
  }
  if (rng.chance(0.05))
    entries.push({ text: rng.pick(['"nosuch":1', '"Key":"YQ=="', '"":{}', '"@type":"x"', '"[a.b]":1', '"nosuch":{"a":[1,{"b":null}]}']) });
  const blank = rng.chance(0.1) ? rng.pick([' ', '\n', '\t\r\n', '\v']) : '';
  return `{${blank}${entries.map((e) => e.text).join(`,${blank}`)}${blank}}`;
}

const badBodies = [
  ...[
    '',
    ' ',
    '{',
    '}',
    '[]',
    'null',
    '1',
    '"x"',
    'true',
    'x',
    '{}x',
    '{} {}',
    '{,}',
    '{"a":1,}',
    "{'a':1}",
    '{"a"}',
    '{"a":}',
    '{a:1}',
    '//c\n{}',
    '\ufeff{}',
    '{"key":"YQ=="}}',
    '{"key":"YQ=="',
  ],
  Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  '['.repeat(20_000),
  `${'{"a":'.repeat(12_000)}1${'}'.repeat(12_000)}`,
  `{"key":"${'YWFh'.repeat(600_000)}"}`,
  ' '.repeat(3_000_000),
];

const otherPaths = [
  ...[
    '/',
    '/v3',
    '/v3/',
    '/v3/kv',
    '/v3/kv/range/',
    '/v3/kv/nosuch',
    '/v3//kv/range',
    '/v3/kv/../kv/range',
    '/V3/kv/range',
    '/v3/kv/range?a=b',
    '/v3/kv/range?key=YQ==',
    '/v3/kv%2Frange',
    '/v3/kv/range%20',
    '/v3alpha/kv/range',
    '/v3beta/kv/range',
    '/v3beta',
    '/v3beta/',
    '/v2/keys',
    '/v2',
    '/version',
    '/version/',
    '/health/',
    '/health',
    '/healthz',
    '/livez',
    '/livez/',
    '/livez/nosuch',
    '/livez/serializable_read',
    '/readyz',
    '/readyz/',
    '/readyz/linearizable_read',
    '/readyz/data_corruption?verbose',
    '/readyz?exclude=nosuch',
    '/livez?verbose',
    '/health?serializable=true',
    '/health?serializable=x',
    '/health?exclude=NOSPACE',
    '/debug/',
    '/debug/pprof/',
    '/debug/pprof/heap',
    '/debug/requests',
    '/config/local/log',
    '/nosuch',
    '//',
    '/metrics/',
    '/debug/vars/',
    '/debug',
    '/raft',
    '/members',
    '/favicon.ico',
    '/v3/watch/x',
    '/v3/kv/range#x',
    '/%',
    '/v3/%zz',
    '/v3/kv/lease/revoke',
    '/v3/kv/lease/leases',
    '/v3/kv/lease/timetolive',
    '/v3/lease/leases',
  ],
];

const methods = ['POST', 'GET', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'TRACE'];

export async function gatewayRun(pair, rng, steps) {
  const g = new Generator(rng);
  const both = async (r) => {
    const answer = await pair.each('HTTP', r, (server) => ask(server, r));
    const revision = Number(answer.body?.json?.header?.revision ?? 0);
    if (revision > g.revision) g.revision = revision;
  };
  for (let i = 0; i < steps; i++) {
    const route = rng.pick(routes);
    switch (
      rng.weighted([
        [30, 'call'],
        [3, 'body'],
        [5, 'path'],
        [3, 'header'],
        [2, 'stream'],
        [1, 'alarm'],
        [1, 'cors'],
      ])
    ) {
      case 'call':
        await both({ method: 'POST', path: route.path, body: jsonMessage(g, route.type) });
        break;
      case 'body':
        await both({ method: 'POST', path: route.path, body: rng.pick(badBodies) });
        break;
      case 'path': {
        const path = rng.chance(0.7) ? rng.pick(otherPaths) : route.path;
        const method = rng.pick(methods);
        // Broken escapes are answered with a body, also to HEAD: no client takes that.
        const broken = /%(?![0-9a-f]{2})/i.test(path);
        await both({ method: broken && method === 'HEAD' ? 'GET' : method, path, body: rng.chance(0.3) ? '{}' : undefined });
        break;
      }
      case 'header':
        await both({
          method: 'POST',
          path: rng.pick(['/v3/kv/range', '/v3/kv/put', '/v3/lease/leases']),
          headers: rng.pick([
            { 'Content-Type': 'text/plain' },
            { 'Content-Type': 'application/json' },
            { 'Content-Type': 'application/x-www-form-urlencoded' },
            { 'Content-Type': 'application/grpc' },
            { Authorization: 'nosuch' },
            { Authorization: 'Bearer x' },
            { 'Grpc-Metadata-Token': 'nosuch' },
            { 'Grpc-Timeout': '1x' },
            { 'Grpc-Timeout': '10S' },
            { 'Grpc-Metadata-Hasleader': 'true' },
            { 'X-HTTP-Method-Override': 'GET' },
            { Accept: 'text/html' },
            { Accept: 'application/octet-stream' },
            { 'Accept-Encoding': 'gzip' },
            { Connection: 'close' },
            { Expect: '100-continue' },
            { Host: 'evil.example' },
          ]),
          body: '{"key":"YQ==","value":"YQ=="}',
        });
        break;
      case 'stream': {
        // A first request that cannot be understood is left out: etcd lets the client wait, or answers 200 and nothing; here it is an error.
        const [path, body] = rng.pick([
          ['/v3/watch', '{"create_request":{"key":"YQ=="}}'],
          ['/v3/watch', '{"create_request":{"key":"YQ==","start_revision":"1"}}'],
          ['/v3/watch', '{"create_request":{"key":"YQ==","start_revision":-5}}'],
          ['/v3/watch', '{"createRequest":{"key":"YQ==","watchId":"9"}}'],
          ['/v3/watch', '{"cancel_request":{"watch_id":4}}{"create_request":{"key":"YQ=="}}'],
          ['/v3/watch', '{"create_request":{"key":"YQ=="}}x'],
          ['/v3/lease/keepalive', '{"ID":"77"}'],
          ['/v3/lease/keepalive', '{"ID":5,"name":"bm9ib2R5"}'],
          ['/v3/lease/keepalive', '{"ID":1}{"ID":"x"}'],
          ['/v3/election/observe', '{"name":1}'],
          ['/v3/election/observe', 'x'],
          ['/v3/maintenance/snapshot', '{'],
        ]);
        await both({ method: rng.chance(0.8) ? 'POST' : 'GET', path, firstLine: true, body });
        break;
      }
      case 'alarm':
        await both({
          method: 'POST',
          path: rng.pick(['/v3/maintenance/alarm', '/v3/maintenance/downgrade', '/v3/cluster/member/add']),
          body: rng.pick([
            '{}',
            '{"action":"GET"}',
            '{"action":0,"alarm":1}',
            '{"action":"nosuch"}',
            '{"peerURLs":["x"]}',
            '{"peerURLs":"x"}',
            '{"action":"VALIDATE","version":"3.6"}',
            '{"action":"GET","memberID":"5"}',
          ]),
        });
        break;
      case 'cors':
        await both({
          method: rng.pick(['OPTIONS', 'POST', 'GET']),
          path: rng.pick(['/v3/kv/range', '/version', '/health', '/nosuch']),
          headers: {
            Origin: rng.pick(['http://a.example', 'null', 'x']),
            ...(rng.chance(0.5) ? { 'Access-Control-Request-Method': 'POST' } : {}),
          },
          body: undefined,
        });
        break;
    }
  }
}
