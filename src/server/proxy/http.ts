/** HTTP on the proxy's ports: a member's metrics, the proxy's own, and whether each is well. */
import type { Log } from '../../base/log.ts';
import { Code, RpcError } from '../../api/status.ts';
import type { Client } from '../../client/client.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from '../../wire/http.ts';

/** Longest wait for a read, and for a watch to be confirmed, as etcd's proxy has it. */
const readMs = 1000;
const watchMs = 3000;
const plainText = 'text/plain; charset=utf-8';
const prometheusText = 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';

export interface ProxyPages {
  readonly log: Log;
  /** Of the members, and of the proxy's own address; the latter is undefined when there is none. */
  readonly upstream: Client;
  readonly own: Client | undefined;
  readonly metrics: () => string;
  /** The metrics page of one member. Rejects when it cannot be had. */
  readonly memberMetrics: (secure: boolean) => Promise<string>;
  /** Answers `/debug/pprof/…`, when it is wanted. */
  readonly profiles?: HttpHandler | undefined;
}

export function proxyRoutes(pages: ProxyPages): HttpHandler {
  return (request, response) => {
    const cut = request.path.indexOf('?');
    const path = cut < 0 ? request.path : request.path.slice(0, cut);
    switch (path) {
      case '/metrics':
        pages.memberMetrics(request.secure).then(
          (text) => answer(response, 200, text, 'text/plain; version=0.0.4'),
          () => answer(response, 500, 'Internal server error\n', plainText),
        );
        return;
      case '/proxy/metrics':
        return answer(response, 200, pages.metrics(), prometheusText);
      case '/health':
        return void serveHealth(pages, request, response, () => readHealth(pages.upstream));
      case '/proxy/health':
        return void serveHealth(pages, request, response, () => ownHealth(pages.own));
    }
    if (pages.profiles !== undefined && path.startsWith('/debug/')) pages.profiles(request, response);
    else answer(response, 404, '404 page not found\n', plainText);
  };
}

function answer(response: HttpResponse, status: number, body: string, contentType: string): void {
  response.head(status, { 'content-type': contentType, ...(status === 200 ? {} : { 'x-content-type-options': 'nosniff' }) });
  response.end(body);
}

/** Resolves with the reason why not; empty when it is well. */
async function serveHealth(pages: ProxyPages, request: HttpRequest, response: HttpResponse, check: () => Promise<string>): Promise<void> {
  if (request.method !== 'GET') {
    response.head(405, { allow: 'GET', 'content-type': plainText, 'x-content-type-options': 'nosniff' });
    response.end('Method Not Allowed\n');
    return;
  }
  const reason = await check();
  if (reason === '') return answer(response, 200, '{"health":"true","reason":""}', plainText);
  pages.log.warn('serving /health false', { reason });
  answer(response, 503, `{"health":"false","reason":${JSON.stringify(reason)}}\n`, plainText);
}

async function readHealth(client: Client): Promise<string> {
  try {
    await client.get('a', { timeoutMs: readMs });
    return '';
  } catch (error) {
    if (error instanceof RpcError && error.code === Code.PermissionDenied) return '';
    return `GET ERROR:${(error as Error).message}`;
  }
}

async function ownHealth(client: Client | undefined): Promise<string> {
  if (client === undefined) return 'no connection to proxy';
  const reason = await readHealth(client);
  if (reason !== '') return reason;
  const watcher = client.watch('a');
  try {
    return await new Promise<string>((resolve) => {
      const timer = setTimeout(() => resolve('WATCH TIMEOUT'), watchMs);
      const done = (): void => {
        clearTimeout(timer);
        resolve('');
      };
      watcher.onCreated = done;
      watcher.onEnd = done;
    });
  } finally {
    watcher.onEnd = undefined;
    watcher.cancel();
  }
}
