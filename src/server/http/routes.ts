/** The HTTP side of client and metrics ports. */
import type { Log } from '../../base/log.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from '../../wire/http.ts';
import type { MemberFacade } from '../consensus/facade.ts';
import { utf8, utf8Text } from '../../base/bytes.ts';
import { type HealthPages, plainText, refuseMethod } from './health.ts';

export interface RoutesOptions {
  readonly member: MemberFacade;
  readonly serverVersion: string;
  readonly health: HealthPages;
  /** Prometheus text. */
  readonly metrics: () => string;
  readonly log: Log;
  readonly cors: readonly string[];
  readonly hostWhitelist: readonly string[];
  /** Answers `/v3/…` when there is a JSON gateway. */
  readonly gateway?: HttpHandler | undefined;
  readonly argv: readonly string[];
  /** Answers `/debug/pprof/…` and `/debug/log/level` when they are switched on. */
  readonly profiles?: HttpHandler | undefined;
  /** More of what `/debug/vars` shows. */
  readonly vars?: (() => Readonly<Record<string, unknown>>) | undefined;
}

/** The client port's HTTP requests. */
export function clientRoutes(options: RoutesOptions): HttpHandler {
  const { cors, hostWhitelist, health, log } = options;
  const anyOrigin = cors.includes('*');
  const gatewayPath = options.gateway === undefined ? undefined : '/v3';
  const anyHost = hostWhitelist.includes('*');
  return (request, raw) => {
    if (!request.secure && !anyHost && !hostAllowed(request.host, hostWhitelist)) {
      log.warn('rejecting HTTP request to prevent DNS rebinding attacks', { host: request.host });
      raw.head(421, { 'content-type': plainText });
      raw.end(unknownHost);
      return;
    }
    if (foreignOrigin(request, cors)) {
      log.warn('rejecting HTTP request from a foreign origin', { origin: request.headers.get('origin') ?? '' });
      raw.head(403, { 'content-type': plainText });
      raw.end('403 origin not allowed\n');
      return;
    }
    const response = withHeaders(raw, corsHeaders(request, cors, anyOrigin));
    if (request.method === 'OPTIONS') {
      response.head(200, {});
      response.end();
      return;
    }
    if (redirected(request, raw, response, gatewayPath)) return;
    const { path, query } = split(request.path);
    if (health.serve(path, query, request, response)) return;
    switch (path) {
      case '/metrics':
        serveMetrics(options, request, response);
        return;
      case '/version':
        if (refuseMethod(request, response)) return;
        response.head(200, { 'content-type': 'application/json' });
        response.end(versionJson(options));
        return;
      case '/debug/vars':
        if (refuseMethod(request, response)) return;
        response.head(200, { 'content-type': 'application/json; charset=utf-8' });
        response.end(debugVars(options));
        return;
    }
    if (options.gateway !== undefined && (path.startsWith('/v3/') || path.startsWith('/v3beta/'))) {
      options.gateway(request, response);
      return;
    }
    if (options.profiles !== undefined && (path.startsWith('/debug/pprof/') || path === '/debug/log/level')) {
      options.profiles(request, response);
      return;
    }
    notFound(response);
  };
}

/** A metrics port serves metrics and probes, nothing else. */
export function metricsRoutes(options: RoutesOptions): HttpHandler {
  return (request, response) => {
    if (redirected(request, response, response, undefined)) return;
    const { path, query } = split(request.path);
    if (options.health.serve(path, query, request, response)) return;
    if (path === '/metrics') serveMetrics(options, request, response);
    else notFound(response);
  };
}

/** On a client port whose HTTP has ports of its own. */
export const noRoutes: HttpHandler = (_request, response) => notFound(response);

/** `folder`: a path that has others below it, and leads to them. Paths that are not clean (`//`, `.`, `..`) lead to the clean ones, as Go's router does it; what is no path at all is refused. */
function redirected(request: HttpRequest, raw: HttpResponse, response: HttpResponse, folder: string | undefined): boolean {
  const target = request.path;
  if (/%(?![0-9a-fA-F]{2})/.test(target.split('?', 1)[0] ?? '')) {
    raw.head(400, { 'content-type': plainText, connection: 'close' });
    raw.end('400 Bad Request');
    return true;
  }
  const at = target.indexOf('?');
  const path = at < 0 ? target : target.slice(0, at);
  if (path !== folder && !/\/\/|\/\.\.?(?:\/|$)/.test(path)) return false;
  const clean = path === folder ? `${path}/` : cleanPath(path);
  if (clean === path) return false;
  const location = clean + (at < 0 ? '' : target.slice(at));
  const page = request.method === 'GET' || request.method === 'HEAD';
  response.head(307, { ...(page ? { 'content-type': 'text/html; charset=utf-8' } : {}), location });
  response.end(request.method === 'GET' ? `<a href="${htmlText(location)}">Temporary Redirect</a>.\n\n` : '');
  return true;
}

function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  const clean = `/${parts.join('/')}`;
  return clean !== '/' && path.endsWith('/') ? `${clean}/` : clean;
}

const htmlText = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&#34;').replaceAll("'", '&#39;');

function serveMetrics(options: RoutesOptions, request: HttpRequest, response: HttpResponse): void {
  response.head(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores' });
  response.end(request.method === 'HEAD' ? '' : options.metrics());
}

function notFound(response: HttpResponse): void {
  response.head(404, { 'content-type': plainText, 'x-content-type-options': 'nosniff' });
  response.end('404 page not found\n');
}

export function versionJson({ member, serverVersion }: Pick<RoutesOptions, 'member' | 'serverVersion'>): string {
  const storage = member.backend.get('meta', utf8('storageVersion'));
  return JSON.stringify({
    etcdserver: serverVersion,
    etcdcluster: member.cluster.version ?? 'not_decided',
    storage: storage === undefined ? 'unknown' : utf8Text(storage),
  });
}

/** Go's expvar page as far as other programs read it. */
function debugVars({ member, argv, vars: more }: RoutesOptions): string {
  const status = member.raftStatus();
  const hex = (id: bigint): string => id.toString(16);
  const states = ['StateFollower', 'StateCandidate', 'StateLeader', 'StatePreCandidate'];
  const progress = Object.fromEntries(
    [...status.progress].map(([id, p]) => [hex(id), { match: p.match, next: p.next, state: `StateProgress${p.state}` }]),
  );
  const raft = {
    id: hex(status.id),
    term: status.term,
    vote: hex(status.vote),
    commit: status.commit,
    lead: hex(status.lead),
    raftState: states[status.state],
    applied: status.applied,
    progress,
    leadtransferee: hex(status.leadTransferee),
  };
  const vars = { cmdline: argv, ...more?.(), 'raft.status': raft };
  return `{\n${Object.entries(vars)
    .map(([k, v]) => `${JSON.stringify(k)}: ${JSON.stringify(v)}`)
    .join(',\n')}\n}\n`;
}

function split(target: string): { path: string; query: URLSearchParams } {
  const at = target.indexOf('?');
  return at < 0
    ? { path: target, query: new URLSearchParams() }
    : { path: target.slice(0, at), query: new URLSearchParams(target.slice(at + 1)) };
}

/** May this request become a WebSocket? As for other requests that a browser may have been tricked into. */
export function mayUpgrade(request: HttpRequest, options: Pick<RoutesOptions, 'cors' | 'hostWhitelist' | 'log'>): boolean {
  const { cors, hostWhitelist, log } = options;
  const host = request.secure || hostWhitelist.includes('*') || hostAllowed(request.host, hostWhitelist);
  if (host && !foreignOrigin(request, cors)) return true;
  log.warn('rejecting WebSocket request', { host: request.host, origin: request.headers.get('origin') ?? '' });
  return false;
}

/**
 * A browser's request for a page of somebody else, where --cors names who may ask. A request without Origin is no browser's; one with that of
 * this very server is its own page's.
 */
function foreignOrigin(request: HttpRequest, cors: readonly string[]): boolean {
  const origin = request.headers.get('origin');
  if (origin === undefined || cors.includes('*')) return false;
  const from = withPort(origin);
  return from !== withPort(`${request.secure ? 'https' : 'http'}://${request.host}`) && !cors.some((c) => withPort(c) === from);
}

/** Browsers leave out the port that goes with the scheme; `--cors` wants one. */
function withPort(origin: string): string {
  const text = origin.toLowerCase();
  return /:\d+$/.test(text) ? text : text.startsWith('https:') ? `${text}:443` : text.startsWith('http:') ? `${text}:80` : text;
}

/** Host names are compared without their port, whatever their case. */
function hostAllowed(given: string, allowed: readonly string[]): boolean {
  const host = given.toLowerCase();
  const whitelist = allowed.map((h) => h.toLowerCase());
  const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : (host.split(':')[0] ?? '');
  return whitelist.includes(name) || whitelist.includes(host);
}

const unknownHost = `
etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Call this member by a name that it knows, or by its address
- Start it with --host-whitelist naming this host
- Use TLS on the client URL
`;

function corsHeaders(request: HttpRequest, cors: readonly string[], any: boolean): Readonly<Record<string, string>> {
  const origin = request.headers.get('origin') ?? '';
  const allowed = any ? '*' : cors.includes(origin) ? origin : undefined;
  if (allowed === undefined) return {};
  return {
    'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE',
    'access-control-allow-origin': allowed,
    'access-control-allow-headers': 'accept, content-type, authorization',
  };
}

/** The same response, with headers that every answer gets. */
function withHeaders(response: HttpResponse, extra: Readonly<Record<string, string>>): HttpResponse {
  if (Object.keys(extra).length === 0) return response;
  return {
    head: (status, headers) => response.head(status, { ...extra, ...headers }),
    write(chunk) {
      if (!response.headSent) response.head(200, extra);
      return response.write(chunk);
    },
    end(chunk) {
      if (!response.headSent) response.head(200, extra);
      response.end(chunk);
    },
    abort: () => response.abort(),
    get onDrain() {
      return response.onDrain;
    },
    set onDrain(fn) {
      response.onDrain = fn;
    },
    get headSent() {
      return response.headSent;
    },
    get ended() {
      return response.ended;
    },
    get bufferedBytes() {
      return response.bufferedBytes;
    },
  };
}
