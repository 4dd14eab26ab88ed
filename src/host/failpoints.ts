/**
 * Control of the failpoints, in gofail's way: terms from `GOFAIL_FAILPOINTS`, and changed at run time over HTTP at `GOFAIL_HTTP`.
 *
 *     terms  = term { "->" term }            the first term that its modifiers allow runs
 *     term   = { N "*" | P "%" } action      at most N times; with P percent probability
 *     action = "off" | "panic" | "print" | "sleep" | "return", each with an optional "(" value ")": a number, true, false or "text"
 *
 *     GET /            every point, `name=terms`, sorted         PUT /NAME        body: terms; 204
 *     GET /NAME        its terms; 404 when off                   PUT /failpoints  body: `a=terms;b=terms`; 204
 *     GET /NAME/count  how often it ran since it was enabled     DELETE /NAME     off; 204
 */
import { writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { parseDuration } from '../base/duration.ts';
import type { FailpointController } from '../base/failpoint.ts';

/** etcd's names, and those of our own store, for what etcd's has not. */
export const failpointNames: readonly string[] = [
  ...['raftBeforeLeaderSend', 'raftBeforeFollowerSend', 'raftBeforeSave', 'raftAfterSave', 'raftBeforeSaveSnap', 'raftAfterSaveSnap'],
  ...['raftBeforeWALSaveSnaphot', 'raftAfterWALRelease', 'raftBeforeApplySnap', 'raftAfterApplySnap', 'raftBeforeAdvance'],
  ...['raftDropHeartbeat', 'applyBeforeOpenSnapshot', 'applyAfterOpenSnapshot', 'beforeApplyOneEntryNormal', 'beforeApplyOneConfChange'],
  ...['beforePublishing', 'walBeforeSync', 'walAfterSync', 'beforeCommit', 'afterCommit', 'beforeStartDBTxn', 'afterStartDBTxn'],
  ...['commitBeforePreCommitHook', 'commitAfterPreCommitHook', 'beforeWritebackBuf', 'afterWritebackBuf'],
  ...['compactBeforeCommitScheduledCompact', 'compactAfterCommitScheduledCompact', 'compactBeforeCommitBatch', 'compactAfterCommitBatch'],
  ...['compactAfterAcquiredBatchTxLock', 'compactBeforeSetFinishedCompact', 'compactAfterSetFinishedCompact'],
  ...['defragBeforeCopy', 'defragBeforeRename', 'defragOpenFileError', 'defragdbFail', 'beforeSendWatchResponse', 'beforeRangeStreamChunk'],
  ...['beforeCheckpointInLeaseRenew', 'beforeServeHTTPLeaseRenew', 'beforeLookupWhenLeaseTimeToLive'],
  ...['beforeLookupWhenForwardLeaseTimeToLive', 'afterIsMemberExist'],
  ...['checkpointBeforePages', 'checkpointBeforePublish', 'checkpointAfterPublish'],
  ...['rewriteBeforeBatch', 'rewriteBeforeSwap', 'rewriteAfterSwap'],
];

export class FailpointError extends Error {
  readonly code = 'failpoint';
}

type Action = 'off' | 'panic' | 'print' | 'sleep' | 'return';

interface Term {
  readonly action: Action;
  /** Undefined when none was given. */
  readonly value: string | undefined;
  /** What is left of `N*`; Infinity without one. */
  left: number;
  /** 0 to 100. */
  readonly percent: number;
}

interface Point {
  readonly text: string;
  readonly terms: readonly Term[];
  count: number;
}

const termPattern = /^(?:(\d+)\*)?(?:(\d+(?:\.\d+)?)%)?(?:(\d+)\*)?(off|panic|print|sleep|return)(?:\((.*)\))?$/s;

/** @throws FailpointError */
export function parseTerms(text: string): Term[] {
  return splitOutsideQuotes(text, '->').map((part) => {
    const m = termPattern.exec(part.trim());
    if (m === null) throw new FailpointError(`failpoint: could not parse terms "${text}"`);
    const [, times, percent, timesAfter, action, argument] = m;
    const n = times ?? timesAfter;
    const value = argument === undefined || argument === '' ? undefined : parseValue(argument);
    if (action === 'sleep') sleepMs(value);
    return {
      action: action as Action,
      value,
      left: n === undefined ? Infinity : Number(n),
      percent: percent === undefined ? 100 : Number(percent),
    };
  });
}

/** `a=terms;b=terms`. @throws FailpointError */
export function parseFailpoints(text: string): Map<string, string> {
  const all = new Map<string, string>();
  for (const part of splitOutsideQuotes(text, ';')) {
    if (part.trim() === '') continue;
    const at = part.indexOf('=');
    if (at <= 0) throw new FailpointError(`failpoint: bad format "${part}"`);
    all.set(part.slice(0, at).trim(), part.slice(at + 1).trim());
  }
  return all;
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\' && quoted) i++;
    else if (text[i] === '"') quoted = !quoted;
    else if (!quoted && text.startsWith(separator, i)) {
      parts.push(text.slice(from, i));
      from = i + separator.length;
      i = from - 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}

function parseValue(text: string): string {
  if (/^-?\d+$/.test(text) || text === 'true' || text === 'false') return text;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'string') return value;
  } catch {
    // Falls through to the one error.
  }
  throw new FailpointError(`failpoint: could not parse value ${text}`);
}

/** A number is milliseconds; text is a duration as Go writes it. @throws FailpointError */
function sleepMs(value: string | undefined): number {
  if (value === undefined) throw new FailpointError('failpoint: sleep needs a time');
  if (/^\d+$/.test(value)) return Number(value);
  const ms = parseDuration(value);
  if (ms === undefined || ms < 0) throw new FailpointError(`failpoint: could not parse time "${value}"`);
  return ms;
}

export class Failpoints implements FailpointController {
  readonly #names: ReadonlySet<string>;
  readonly #points = new Map<string, Point>();
  readonly #panic: (text: string) => never;

  constructor(options: { readonly names?: readonly string[]; readonly panic?: (text: string) => never } = {}) {
    this.#names = new Set(options.names ?? failpointNames);
    this.#panic = options.panic ?? endProcess;
  }

  get names(): string[] {
    return [...this.#names].sort();
  }

  /** @throws FailpointError for an unknown name or bad terms. */
  enable(name: string, terms: string): void {
    if (!this.#names.has(name)) throw new FailpointError(`failpoint: "${name}" does not exist`);
    this.#points.set(name, { text: terms, terms: parseTerms(terms), count: 0 });
  }

  /** False when it was off. */
  disable(name: string): boolean {
    return this.#points.delete(name);
  }

  /** Undefined when it is unknown or off. */
  status(name: string): { readonly terms: string; readonly count: number } | undefined {
    const point = this.#points.get(name);
    return point === undefined ? undefined : { terms: point.text, count: point.count };
  }

  hit(name: string): string | undefined {
    const term = this.#run(name);
    if (term?.action === 'sleep') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, sleepMs(term.value));
    return term?.action === 'return' ? (term.value ?? '') : undefined;
  }

  pass(name: string, next: (value: string | undefined) => void): void {
    const term = this.#run(name);
    if (term?.action === 'sleep') setTimeout(() => next(undefined), sleepMs(term.value));
    else next(term?.action === 'return' ? (term.value ?? '') : undefined);
  }

  /** The term whose turn it is, after what it does without waiting. */
  #run(name: string): Term | undefined {
    const point = this.#points.get(name);
    if (point === undefined) return undefined;
    point.count++;
    const term = point.terms.find((t) => t.left > 0 && (t.percent >= 100 || Math.random() * 100 < t.percent));
    if (term === undefined) return undefined;
    term.left--;
    if (term.action === 'panic') this.#panic(`failpoint panic: ${term.value ?? '{}'}`);
    if (term.action === 'print') writeSync(2, `failpoint print: ${name} ${term.value ?? ''}\n`);
    return term;
  }
}

/** Go's panic as a parent sees it: a line on stderr, exit code 2, and nothing is written or closed any more. */
function endProcess(text: string): never {
  writeSync(2, `panic: ${text}\n`);
  process.removeAllListeners('exit');
  process.exit(2);
}

/** Longest body of a PUT. */
const bodyBytesMax = 64 * 1024;

/** Answers gofail's HTTP protocol. */
export function failpointServer(points: Failpoints): Server {
  return createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (d: string) => {
      body += d;
      if (body.length > bodyBytesMax) request.destroy();
    });
    request.on('end', () => answer(points, request, response, body));
  });
}

function answer(points: Failpoints, request: IncomingMessage, response: ServerResponse, body: string): void {
  const reply = (status: number, text: string): void => {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(text);
  };
  const name = decodeURIComponent((request.url ?? '/').slice(1));
  switch (request.method) {
    case 'GET': {
      if (name === '') {
        reply(200, points.names.map((n) => `${n}=${points.status(n)?.terms ?? ''}\n`).join(''));
        return;
      }
      const counting = name.endsWith('/count');
      const status = points.status(counting ? name.slice(0, -'/count'.length) : name);
      if (status === undefined) reply(404, 'failed to GET: failpoint: failpoint is disabled or does not exist\n');
      else reply(200, counting ? String(status.count) : `${status.terms}\n`);
      return;
    }
    case 'PUT':
      try {
        const wanted = name === 'failpoints' ? parseFailpoints(body) : new Map([[name, body.trim()]]);
        for (const [n, terms] of wanted) points.enable(n, terms);
      } catch (error) {
        if (!(error instanceof FailpointError)) throw error;
        reply(400, `fail to set failpoint: ${error.message}\n`);
        return;
      }
      response.writeHead(204);
      response.end();
      return;
    case 'DELETE':
      if (!points.disable(name)) {
        reply(400, 'failed to delete failpoint: failpoint: failpoint is disabled\n');
        return;
      }
      response.writeHead(204);
      response.end();
      return;
    default:
      response.setHeader('allow', 'DELETE, GET, PUT');
      reply(405, 'Method not allowed\n');
  }
}

const loopbackHosts: readonly string[] = ['127.0.0.1', 'localhost', '::1'];

/** Splits `host:port`; who reaches this port can end the process, so it is never offered to the network. @throws FailpointError */
export function loopbackAddress(text: string): { readonly host: string; readonly port: number } {
  const m = /^\[?(.*?)\]?:(\d+)$/.exec(text);
  const [, host = '', port = ''] = m ?? [];
  if (!loopbackHosts.includes(host)) throw new FailpointError(`failpoint: "${text}" is not a loopback address`);
  return { host, port: Number(port) };
}

/**
 * Makes the controller that the environment asks for; resolves once its HTTP port, if any, is open. Nothing of it keeps a process alive.
 * @throws FailpointError, or the system's error of a port that cannot be had.
 */
export async function failpointsFromEnv(env: NodeJS.ProcessEnv): Promise<Failpoints> {
  const points = new Failpoints();
  for (const [name, terms] of parseFailpoints(env['GOFAIL_FAILPOINTS'] ?? '')) {
    // As gofail: names that this program does not know are other versions'.
    if (points.names.includes(name)) points.enable(name, terms);
  }
  const address = env['GOFAIL_HTTP'];
  if (address !== undefined && address !== '') {
    const server = failpointServer(points);
    const at = loopbackAddress(address);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, resolve);
    });
    server.unref();
  }
  return points;
}
