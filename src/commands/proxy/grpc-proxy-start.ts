/** `grpc-proxy start`: from flags to a proxy that listens. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Log } from '../../base/log.ts';
import { Client } from '../../client/client.ts';
import type { ClientOptions, Policy } from '../../client/options.ts';
import { policies } from '../../client/options.ts';
import { createLog, type HostLog, logLevels, openSink } from '../../host/log.ts';
import { onStopSignal, onUncaught } from '../../host/process.ts';
import { processFigures } from '../../host/process-figures.ts';
import { RealClock } from '../../host/real-clock.ts';
import type { TlsFiles } from '../../host/tls-files.ts';
import { cipherList, tlsVersion } from '../../server/config/tls.ts';
import { addressOf } from '../../server/http/addresses.ts';
import { profiles } from '../../server/http/profiles.ts';
import { GrpcProxy } from '../../server/proxy/grpc-proxy.ts';
import { callLog } from '../../server/proxy/call-log.ts';
import { proxyRoutes, type ProxyPages } from '../../server/proxy/http.ts';
import type { ChannelTls } from '../../wire/channel-options.ts';
import { connectHttp2 } from '../../wire/http2-channel.ts';
import { defaultWireLimits, type WireLimits } from '../../wire/limits.ts';
import { Listener } from '../../wire/listener.ts';
import { GrpcServer } from '../../wire/server-call.ts';
import type { Flags } from '../frame/flags.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stderr } from '../frame/output.ts';
import { discover } from './discover.ts';
import { listenText, neverEnds, notifyInit, splitHostPort } from '../frame/daemon.ts';

/** Longest wait for a connection to a member, and of the proxy to itself. */
const dialMs = 5000;
/** A request of a client, as gRPC servers limit it when nothing else is said. */
const requestBytesMax = 4 * 1024 * 1024;
/** Open calls may finish for this long when the proxy stops. */
const graceMs = 2000;
/** A member's metrics page. */
const metricsBytesMax = 16 * 1024 * 1024;
const metricsMs = 10_000;

/** A reason not to start: told on standard error, exit code 1. */
class Refusal extends Error {}

/** Resolves with an exit code when it cannot start, else never. */
export async function startGrpcProxy({ flags }: Invocation): Promise<number> {
  const log = createLog({ level: flags.bool('debug') ? 'debug' : 'info', format: 'json', sinks: [openSink('default')] });
  onUncaught(log, () => 1);
  try {
    checkFlags(flags);
    await start(flags, log);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    stderr(`${error.message}\n`);
    return 1;
  }
  return neverEnds;
}

function checkFlags(flags: Flags): void {
  const prefix = flags.string('resolver-prefix');
  const ttl = flags.int('resolver-ttl');
  if (prefix !== '' && ttl < 1) throw new Refusal(`invalid resolver-ttl ${ttl}`);
  if (prefix === '' && ttl > 0) throw new Refusal(`invalid resolver-prefix ${JSON.stringify(prefix)}`);
  if (prefix !== '' && flags.string('advertise-client-url') === '') throw new Refusal('invalid advertise-client-url ""');
  if (flags.bool('auto-tls') && flags.int('self-signed-cert-validity') === 0)
    throw new Refusal('selfSignedCertValidity is invalid,it should be greater than 0');
  const [min, max] = [version(flags, 'tls-min-version'), version(flags, 'tls-max-version')];
  if (max !== undefined && (min ?? '') > max)
    throw new Refusal(`min version (${flags.string('tls-min-version')}) is greater than max version (${flags.string('tls-max-version')})`);
  if (min === 'TLSv1.3' && flags.strings('listen-cipher-suites').length > 0)
    throw new Refusal('cipher suites cannot be configured when only TLS1.3 is enabled');
  if (flags.has('balance') && !(policies as readonly string[]).includes(flags.string('balance')))
    throw new Refusal(`invalid balance ${JSON.stringify(flags.string('balance'))} (must be one of: ${policies.join(', ')})`);
}

function version(flags: Flags, name: string): ReturnType<typeof tlsVersion> {
  try {
    return tlsVersion(flags.string(name));
  } catch (error) {
    throw new Refusal(`${name} is invalid: ${(error as Error).message}`);
  }
}

async function start(flags: Flags, log: ReturnType<typeof createLog>): Promise<void> {
  const clock = new RealClock();
  const tls = await listenerTls(flags, log);
  if (tls !== undefined) log.info('gRPC proxy server TLS', { 'tls-info': tlsInfo(flags, ['cert-file', 'key-file', 'trusted-ca-file']) });
  const listenAddr = flags.string('listen-addr');
  const address = splitHostPort(listenAddr);
  if (address === undefined) throw new Refusal(`listen tcp: address ${listenAddr}: missing port in address`);
  const endpoints = await endpointsOf(flags, log);
  const upstreamTls = memberTls(flags, log);
  const advertiseClientUrl = flags.string('advertise-client-url');

  const clientOptions: ClientOptions = {
    endpoints,
    tls: upstreamTls,
    connect: connectHttp2,
    connectTimeoutMs: dialMs,
    failFast: true,
    keepaliveMs: flags.duration('dial-keepalive-time'),
    keepaliveTimeoutMs: flags.duration('dial-keepalive-timeout'),
    keepaliveWithoutCalls: flags.bool('permit-without-stream'),
    sendBytesMax: flags.int('max-send-bytes') || defaultSendBytes,
    receiveBytesMax: flags.int('max-recv-bytes') || defaultReceiveBytes,
    balance: flags.has('balance') ? (flags.string('balance') as Policy) : 'round-robin',
  };
  // The port is known to be ours before anything is asked of the members.
  const ready: { routes?: ReturnType<typeof proxyRoutes> } = {};
  const proxy = await GrpcProxy.open({
    client: clientOptions,
    clock,
    log,
    figures: processFigures,
    hostname: hostname(),
    namespace: flags.string('namespace'),
    leasingPrefix: flags.string('experimental-leasing-prefix'),
    serializableOrdering: flags.bool('experimental-serializable-ordering'),
    autoSyncMs: flags.duration('endpoints-auto-sync-interval'),
    advertiseClientUrl,
    resolverPrefix: flags.string('resolver-prefix'),
    resolverTtlSeconds: flags.int('resolver-ttl'),
  });
  const observer = flags.bool('experimental-enable-grpc-logging')
    ? callLog(proxy.metrics.observer(), log, clock)
    : proxy.metrics.observer();
  const limits = wireLimits(flags);
  const onHandlerError = (error: unknown): void => log.error('a call failed inside the proxy', { error });
  const grpc = new GrpcServer({ table: proxy.table, limits, clock, observer, onHandlerError });
  const listener = new Listener({
    grpc,
    http: (request, response) => {
      if (ready.routes !== undefined) return ready.routes(request, response);
      response.head(503, {});
      response.end();
    },
    tls: tls?.listenerTls(),
    log,
  });
  try {
    await listener.listen(address);
  } catch (error) {
    throw new Refusal(listenText(error));
  }
  log.info('listening for gRPC proxy client requests', { address: listenAddr });
  const own = advertiseClientUrl === '' ? undefined : new Client(ownOptions(flags, advertiseClientUrl, tls !== undefined));
  if (own !== undefined) log.info('create proxy client', { grpcProxyAdvertiseClientURL: advertiseClientUrl });
  const pages: ProxyPages = {
    log,
    upstream: proxy.client,
    own,
    metrics: () => proxy.metrics.registry.text(),
    memberMetrics: metricsOf(endpoints, upstreamTls),
    profiles: flags.bool('enable-pprof') ? profiles({ argv: process.argv, log: levelsOf(log) }) : undefined,
  };
  if (pages.profiles !== undefined) log.info('gRPC proxy enabled pprof', { path: '/debug/pprof' });
  ready.routes = proxyRoutes(pages);
  const metricsListener = await serveMetrics(flags, log, grpc, pages, tls);
  log.info('started gRPC proxy', { address: listenAddr });
  notifyInit(log);
  onStopSignal(log, async () => {
    await Promise.all([listener.close(graceMs), metricsListener?.close(0)]);
    own?.close();
    await proxy.close();
    log.info('stop listening gRPC proxy client requests', { address: listenAddr });
  });
}

const defaultSendBytes = 1_572_864;
const defaultReceiveBytes = 2 ** 31 - 1;

function wireLimits(flags: Flags): WireLimits {
  return {
    ...defaultWireLimits,
    recvMessageBytesMax: requestBytesMax,
    concurrentStreamsMax: Math.min(defaultWireLimits.concurrentStreamsMax, Math.max(1, flags.int('max-concurrent-streams'))),
    keepaliveMinMs: flags.duration('grpc-keepalive-min-time'),
    keepaliveIntervalMs: flags.duration('grpc-keepalive-interval'),
    keepaliveTimeoutMs: flags.duration('grpc-keepalive-timeout'),
  };
}

async function endpointsOf(flags: Flags, log: Log): Promise<readonly string[]> {
  try {
    const found = await discover(
      {
        domain: flags.string('discovery-srv'),
        serviceName: flags.string('discovery-srv-name'),
        insecure: flags.bool('insecure-discovery'),
        caFile: flags.string('cacert'),
      },
      log,
    );
    if (found.length > 0) return found.map((e) => e.url);
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
  const endpoints = flags.strings('endpoints').filter((e) => e !== '');
  if (endpoints.length === 0) throw new Refusal('etcdclient: no available endpoints');
  return endpoints;
}

// ---- TLS

function tlsInfo(flags: Flags, names: readonly string[]): string {
  return names.map((n) => `${n} = ${flags.string(n)}`).join(', ');
}

/** Undefined without TLS. */
async function listenerTls(flags: Flags, log: Log): Promise<TlsFiles | undefined> {
  let certFile = flags.string('cert-file');
  let keyFile = flags.string('key-file');
  const trustedCaFile = flags.string('trusted-ca-file');
  const made = certFile === '' && keyFile === '' && trustedCaFile === '' && flags.bool('auto-tls');
  if (certFile === '' && keyFile === '' && trustedCaFile === '' && !made) return undefined;
  const { TlsFiles } = await import('../../host/tls-files.ts');
  try {
    if (made) {
      const { selfSigned } = await import('../../host/self-signed.ts');
      const directory = `${flags.string('data-dir')}/fixtures/proxy`;
      ({ certFile, keyFile } = await selfSigned(
        directory,
        [flags.string('listen-addr')],
        flags.int('self-signed-cert-validity'),
        log,
        Date.now(),
      ));
    }
    return new TlsFiles({
      certFile,
      keyFile,
      clientCertFile: certFile,
      clientKeyFile: keyFile,
      trustedCaFile,
      crlFile: flags.string('client-crl-file'),
      clientCertAuth: trustedCaFile !== '',
      allowedCommonNames: [],
      allowedHostnames: [],
      ciphers: cipherList(flags.strings('listen-cipher-suites')),
      minVersion: version(flags, 'tls-min-version') ?? 'TLSv1.2',
      maxVersion: version(flags, 'tls-max-version'),
      selfSigned: made,
      log,
    });
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}

/** TLS toward the members. The certificate's name would count as a user there, for everybody: it must have none. */
function memberTls(flags: Flags, log: Log): ChannelTls | undefined {
  const [ca, cert, key] = [flags.string('cacert'), flags.string('cert'), flags.string('key')];
  const insecureSkipVerify = flags.bool('insecure-skip-tls-verify');
  if (ca === '' && cert === '' && key === '' && !insecureSkipVerify) return undefined;
  if ((cert === '') !== (key === '')) throw new Refusal(`KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  const read = (name: string): Buffer | undefined => {
    if (name === '') return undefined;
    try {
      return readFileSync(name);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new Refusal(`open ${name}: ${code === 'ENOENT' ? 'no such file or directory' : String(code)}`);
    }
  };
  const certPem = read(cert);
  if (certPem !== undefined) {
    let name: string | undefined;
    try {
      name = /^CN=(.+)$/m.exec(new X509Certificate(certPem).subject ?? '')?.[1];
    } catch (error) {
      throw new Refusal(`tls: ${(error as Error).message}`);
    }
    if (name !== undefined) throw new Refusal(`cert has non empty Common Name (${name}): ${cert}`);
  }
  if (insecureSkipVerify)
    log.warn(
      '--insecure-skip-tls-verify was given, this grpc proxy process skips authentication of etcd server TLS certificates. This option should be enabled only for testing purposes.',
    );
  log.info('gRPC proxy client TLS', { 'tls-info': tlsInfo(flags, ['cert', 'key', 'cacert']) });
  return { ca: read(ca), cert: certPem, key: read(key), insecureSkipVerify };
}

/** A client of the proxy itself, by the address that it tells others. */
function ownOptions(flags: Flags, address: string, secure: boolean): ClientOptions {
  const ca = flags.string('trusted-ca-file');
  const [cert, key] = [flags.string('cert-file'), flags.string('key-file')];
  const file = (name: string): Buffer | undefined => (name === '' ? undefined : readFileSync(name));
  return {
    endpoints: [address],
    connect: connectHttp2,
    connectTimeoutMs: dialMs,
    // It asks only whether it answers; its own certificate was made for others to check.
    tls: secure ? { ca: file(ca), cert: file(cert), key: file(key), insecureSkipVerify: ca === '' } : undefined,
  };
}

// ---- HTTP

/** The log level as the debug pages show and change it. */
function levelsOf(log: HostLog): { level(): string; setLevel(level: string): boolean } {
  return {
    level: () => log.level,
    setLevel(level) {
      const known = logLevels.find((l) => l === level);
      if (known !== undefined) log.level = known;
      return known !== undefined;
    },
  };
}

async function serveMetrics(
  flags: Flags,
  log: Log,
  grpc: GrpcServer,
  pages: ProxyPages,
  tls: TlsFiles | undefined,
): Promise<Listener | undefined> {
  const url = flags.string('metrics-addr');
  if (url === '') return undefined;
  if (!/^(https?|unixs?):\/\/[^/]+/.test(url)) throw new Refusal(`cannot parse ${JSON.stringify(url)}`);
  const secured = /^(https|unixs):/.test(url);
  if (secured && tls === undefined) throw new Refusal(`cannot listen on TLS for ${url}: KeyFile and CertFile are not presented`);
  const listener = new Listener({ grpc, http: proxyRoutes(pages), http1Only: true, tls: secured ? tls?.listenerTls() : undefined, log });
  try {
    await listener.listen(addressOf(url));
  } catch (error) {
    throw new Refusal(listenText(error));
  }
  log.info('gRPC proxy listening for metrics', { address: url });
  log.info('gRPC proxy server metrics URL serving');
  return listener;
}

/** The metrics page of one of the members, chosen once. */
function metricsOf(endpoints: readonly string[], tls: ChannelTls | undefined): (secure: boolean) => Promise<string> {
  const endpoint = endpoints[Math.floor(Math.random() * endpoints.length)] ?? '';
  return (secure) => {
    const url = `${/^https?:/.test(endpoint) ? '' : secure ? 'https://' : 'http://'}${endpoint}/metrics`;
    return new Promise((resolve, reject) => {
      const done = (response: IncomingMessage): void => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > metricsBytesMax) request.destroy(new Error('the page is too large'));
        });
        response.on('end', () => resolve(text));
        response.on('error', reject);
      };
      const pem = (b: Uint8Array | undefined): Buffer | undefined => (b === undefined ? undefined : Buffer.from(b));
      const request = url.startsWith('https:')
        ? httpsRequest(
            url,
            { ca: pem(tls?.ca), cert: pem(tls?.cert), key: pem(tls?.key), rejectUnauthorized: tls?.insecureSkipVerify !== true },
            done,
          )
        : httpRequest(url, done);
      request.setTimeout(metricsMs, () => request.destroy(new Error('timeout')));
      request.on('error', reject);
      request.end();
    });
  };
}
