/**
 * `/debug/pprof/…` with `--enable-pprof`: profiles of V8, for Chrome's developer tools, speedscope and the like. Go's own kinds that have no
 * counterpart here say so.
 */
import { Session } from 'node:inspector/promises';
import type { HttpHandler, HttpRequest, HttpResponse } from '../../wire/http.ts';
import { plainText, refuseMethod } from './health.ts';

const root = '/debug/pprof/';
/** Time a profile takes when nobody says, s. */
const cpuSecondsDefault = 30;
const heapSecondsDefault = 10;
/** A profile that grows for longer would take the member's memory. */
const secondsMax = 600;
/** Mean bytes between two samples of the heap. */
const heapSampleBytes = 32 * 1024;
const cpuSampleMicros = 1000;

/** Kinds of Go's profiler that mean nothing here, and why. */
const foreign: Readonly<Record<string, string>> = {
  symbol: 'profiles of V8 carry their names',
  trace: 'V8 has no execution trace; see profile',
  threadcreate: 'the member is one event loop and a few named threads',
  block: 'nothing blocks on an event loop; see the metric nodejs_eventloop_delay_seconds',
  mutex: 'there are no locks',
};

export interface ProfilesOptions {
  readonly argv: readonly string[];
  readonly log: { readonly level: () => string; readonly setLevel: (level: string) => boolean };
}

export function profiles({ argv, log }: ProfilesOptions): HttpHandler {
  let busy = false;
  /** One profile at a time: a second would stop the first. */
  const profile = (request: HttpRequest, response: HttpResponse, file: string, fallback: number, take: Take): void => {
    const asked = new URLSearchParams(request.path.split('?')[1] ?? '').get('seconds');
    const seconds = asked === null ? fallback : Number(asked);
    if (!(seconds > 0 && seconds <= secondsMax)) return text(response, 400, `seconds must be above 0 and at most ${secondsMax}\n`);
    if (busy) return text(response, 503, 'another profile is being taken\n');
    busy = true;
    const session = new Session();
    const over = new AbortController();
    request.onAbort = () => over.abort();
    session.connect();
    take(session, () => pause(seconds, over.signal))
      .then(
        (json) => {
          response.head(200, {
            'content-type': 'application/json',
            'content-disposition': `attachment; filename="${file}"`,
            'x-content-type-options': 'nosniff',
          });
          response.end(json);
        },
        (error: unknown) => text(response, 500, `${error instanceof Error ? error.message : String(error)}\n`),
      )
      .finally(() => {
        session.disconnect();
        busy = false;
      });
  };
  return (request, response) => {
    const path = request.path.split('?')[0] ?? '';
    if (path === '/debug/log/level') return logLevel(log, request, response);
    const kind = path.slice(root.length);
    if (refuseMethod(request, response)) return;
    switch (kind) {
      case '':
        response.head(200, { 'content-type': 'text/html; charset=utf-8', 'x-content-type-options': 'nosniff' });
        response.end(indexPage);
        return;
      case 'cmdline':
        return text(response, 200, argv.join('\0'));
      case 'profile':
        return profile(request, response, 'tsetcd.cpuprofile', cpuSecondsDefault, cpuProfile);
      case 'heap':
      case 'allocs':
        return profile(request, response, 'tsetcd.heapprofile', heapSecondsDefault, heapProfile);
      case 'goroutine':
        return text(response, 200, `${process.getActiveResourcesInfo().join('\n')}\n`);
    }
    const why = foreign[kind];
    text(response, 404, why === undefined ? 'Unknown profile\n' : `no ${kind} profile in Node: ${why}\n`);
  };
}

type Take = (session: Session, wait: () => Promise<void>) => Promise<string>;

const cpuProfile: Take = async (session, wait) => {
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: cpuSampleMicros });
  await session.post('Profiler.start');
  await wait();
  return JSON.stringify((await session.post('Profiler.stop')).profile);
};

/** What was allocated in that time and still lives. A snapshot of the whole heap would stop the member for seconds. */
const heapProfile: Take = async (session, wait) => {
  await session.post('HeapProfiler.enable');
  await session.post('HeapProfiler.startSampling', { samplingInterval: heapSampleBytes });
  await wait();
  return JSON.stringify((await session.post('HeapProfiler.stopSampling')).profile);
};

function pause(seconds: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    over.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** GET says the level, PUT or POST `{"level":"debug"}` changes it: as zap's own handler. */
function logLevel(log: ProfilesOptions['log'], request: HttpRequest, response: HttpResponse): void {
  const answer = (status: number, value: object): void => {
    response.head(status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(value)}\n`);
  };
  if (request.method === 'GET') return answer(200, { level: log.level() });
  if (request.method !== 'PUT' && request.method !== 'POST') return answer(405, { error: 'only GET, PUT and POST are supported' });
  let body = '';
  request.onData = (chunk) => {
    // A level is a word.
    if (body.length < 1000) body += Buffer.from(chunk).toString('latin1');
  };
  request.onEnd = () => {
    let level: unknown;
    try {
      level = (JSON.parse(body) as { level?: unknown } | null)?.level;
    } catch {
      level = undefined;
    }
    if (typeof level === 'string' && log.setLevel(level)) return answer(200, { level: log.level() });
    answer(400, { error: 'must specify a level: debug, info, warn, error, dpanic, panic or fatal' });
  };
}

function text(response: HttpResponse, status: number, body: string): void {
  response.head(status, { 'content-type': plainText, 'x-content-type-options': 'nosniff' });
  response.end(body);
}

const indexPage = `<html><head><title>/debug/pprof/</title></head><body>
<p>Profiles of V8</p>
<ul>
<li><a href="profile?seconds=10">profile</a>: CPU, as .cpuprofile</li>
<li><a href="heap?seconds=10">heap</a>: what is allocated meanwhile and lives, as .heapprofile</li>
<li><a href="goroutine">goroutine</a>: what the event loop waits for</li>
<li><a href="cmdline">cmdline</a></li>
<li><a href="../log/level">log level</a></li>
</ul>
</body></html>
`;
