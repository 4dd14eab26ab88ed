/** `/health`, `/livez` and `/readyz`: what a member says of itself to probes. */
import type { Log } from '../../base/log.ts';
import type { Family, Counter, Gauge } from '../../base/metrics.ts';
import type { HttpRequest, HttpResponse } from '../../wire/http.ts';
import type { MemberFacade } from '../consensus/facade.ts';
import { CompactedError, FutureRevisionError } from '../mvcc/types.ts';

/** The alarms by number, as etcd names them. */
const alarmNames = ['NONE', 'NOSPACE', 'CORRUPT'];

export const plainText = 'text/plain; charset=utf-8';

export interface HealthMetrics {
  readonly success: Counter;
  readonly failures: Counter;
  /** Labels name, type: 1 when the last run was good. */
  readonly check: Family<Gauge>;
  /** Labels name, status, type. */
  readonly checks: Family<Counter>;
  /** Told of the ranges that checks make. */
  readonly ranged: (ok: boolean, ms: number) => void;
}

type Check = (done: (failure: string | undefined) => void) => void;

export class HealthPages {
  readonly #member: MemberFacade;
  readonly #log: Log;
  readonly #metrics: HealthMetrics;
  readonly #live: ReadonlyMap<string, Check>;
  readonly #ready: ReadonlyMap<string, Check>;

  constructor(member: MemberFacade, log: Log, metrics: HealthMetrics) {
    this.#member = member;
    this.#log = log;
    this.#metrics = metrics;
    const serializable: Check = (done) => this.#read(true, done);
    this.#live = new Map([['serializable_read', serializable]]);
    this.#ready = new Map<string, Check>([
      ['data_corruption', (done) => done(member.alarms.list(0).some((a) => a.alarm === 2) ? 'alarm activated: CORRUPT' : undefined)],
      ['serializable_read', serializable],
      ['linearizable_read', (done) => this.#read(false, done)],
      ['non_learner', (done) => done(member.isLearner ? 'not supported for learner' : undefined)],
    ]);
  }

  /** Answers one of its paths; false for any other. */
  serve(path: string, query: URLSearchParams, request: HttpRequest, response: HttpResponse): boolean {
    if (path === '/health') {
      if (refuseMethod(request, response)) return true;
      this.#health(query, response);
      return true;
    }
    for (const [root, type, checks] of [
      ['/livez', 'livez', this.#live],
      ['/readyz', 'readyz', this.#ready],
    ] as const) {
      if (path !== root && !path.startsWith(`${root}/`)) continue;
      const name = path.slice(root.length + 1);
      const check = checks.get(name);
      if (check === undefined && path !== root) return false;
      if (refuseMethod(request, response)) return true;
      if (check === undefined) {
        this.#run(type, checks, query, response);
        return true;
      }
      this.#run(type, new Map([[name, check]]), query, response);
      return true;
    }
    return false;
  }

  #health(query: URLSearchParams, response: HttpResponse): void {
    const serializable = query.get('serializable') === 'true';
    const excluded = new Set(query.getAll('exclude'));
    const answer = (reason: string): void => {
      if (reason === '') {
        this.#metrics.success.inc();
        response.head(200, { 'content-type': plainText });
        response.end('{"health":"true","reason":""}');
        return;
      }
      this.#metrics.failures.inc();
      this.#log.warn('serving /health false', { reason });
      response.head(503, { 'content-type': plainText, 'x-content-type-options': 'nosniff' });
      response.end(`{"health":"false","reason":${JSON.stringify(reason)}}\n`);
    };
    for (const alarm of this.#member.alarms.list(0)) {
      const name = alarmNames[alarm.alarm] ?? 'UNKNOWN';
      if (excluded.has(name)) {
        this.#log.debug('/health excluded alarm', { alarm: name });
        continue;
      }
      answer(`ALARM ${name}`);
      return;
    }
    if (!serializable && this.#member.leader === 0n) {
      answer('RAFT NO LEADER');
      return;
    }
    this.#read(serializable, (failure) => answer(failure === undefined ? '' : `RANGE ERROR:${failure}`));
  }

  #read(serializable: boolean, answer: (failure: string | undefined) => void): void {
    const { clock } = this.#member;
    const start = clock.mono();
    const done = (failure: string | undefined): void => {
      this.#metrics.ranged(failure === undefined, clock.mono() - start);
      answer(failure);
    };
    const read = (): void => {
      try {
        this.#member.kv.range({ key: new Uint8Array(1), end: new Uint8Array(0), rev: 0, limit: 1, countOnly: false });
        done(undefined);
      } catch (error) {
        if (error instanceof CompactedError || error instanceof FutureRevisionError) done(error.message);
        else throw error;
      }
    };
    if (serializable) read();
    else this.#member.linearizableRead((error) => (error === undefined ? read() : done(error.message)));
  }

  #run(type: string, checks: ReadonlyMap<string, Check>, query: URLSearchParams, response: HttpResponse): void {
    const excluded = new Set(query.getAll('exclude'));
    for (const name of excluded) {
      if (name !== '' && !checks.has(name)) this.#log.warn('some health checks cannot be excluded', { 'missing-health-checks': name });
    }
    const wanted = [...checks].filter(([name]) => !excluded.has(name));
    const lines: string[] = [];
    let failed = false;
    let left = wanted.length;
    const finish = (): void => {
      const detail = lines.join('');
      const headers = { 'content-type': plainText, 'x-content-type-options': 'nosniff' };
      if (failed) {
        this.#log.warn('Health check error', { path: `/${type}`, reason: detail, 'status-code': 503 });
        response.head(503, headers);
        response.end(`${detail}\n`);
        return;
      }
      response.head(200, headers);
      response.end(query.has('verbose') ? `${detail}ok\n` : 'ok\n');
    };
    if (left === 0) {
      finish();
      return;
    }
    for (const [name, check] of wanted) {
      check((failure) => {
        failed ||= failure !== undefined;
        lines.push(failure === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${failure}\n`);
        this.#metrics.check.with(name, type).set(failure === undefined ? 1 : 0);
        this.#metrics.checks.with(name, failure === undefined ? 'success' : 'error', type).inc();
        if (--left === 0) finish();
      });
    }
  }
}

/** 405 for anything but GET. */
export function refuseMethod(request: HttpRequest, response: HttpResponse): boolean {
  if (request.method === 'GET') return false;
  response.head(405, { allow: 'GET', 'content-type': plainText, 'x-content-type-options': 'nosniff' });
  response.end('Method Not Allowed\n');
  return true;
}
