// Plays one recorded scenario against one server, through grpc-js and node:http.
import { createHash } from 'node:crypto';
import http from 'node:http';
import grpc from '@grpc/grpc-js';
import {
  bytesOf,
  decodeMessage,
  encodeMessage,
  findMethod,
  isObject,
  substitute,
  textOf,
  type Json,
  type JsonObject,
  type Scenario,
  type Step,
  type Variables,
} from './corpus.ts';
import { holdsWanted, Inbox, watchView } from './inbox.ts';
import { difference, valueAt } from './match.ts';

const answerLimitMs = 10_000;
const readyLimitMs = 20_000;
const channelOptions: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 200,
  'grpc.enable_retries': 0,
};
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const asIs = (b: Buffer): Buffer => b;
const short = (v: unknown): string => JSON.stringify(v).slice(0, 300);

export interface Address {
  readonly host: string;
  readonly clientPort: number;
  readonly peerUrl: string;
}

type Answer = { readonly response: JsonObject } | { readonly error: { code: number; message: string } };
interface PendingCall {
  readonly done: Promise<Answer>;
  readonly cancel: () => void;
  answer: Answer | undefined;
}

/** @throws Error naming the step and the first difference. */
export async function replay(scenario: Scenario, address: Address): Promise<void> {
  const player = new Player(address);
  try {
    await player.ready();
    await player.play(scenario);
  } finally {
    player.close();
  }
}

class Player {
  readonly #address: Address;
  readonly #client: grpc.Client;
  readonly #variables: Variables;
  readonly #streams = new Map<string, Inbox>();
  readonly #calls = new Map<string, PendingCall>();
  readonly #started = performance.now();

  constructor(address: Address) {
    this.#address = address;
    this.#client = new grpc.Client(`${address.host}:${address.clientPort}`, grpc.credentials.createInsecure(), channelOptions);
    this.#variables = new Map<string, Json>([
      ['clientURL', `http://${address.host}:${address.clientPort}`],
      ['peerURL', address.peerUrl],
    ]);
  }

  close(): void {
    for (const s of this.#streams.values()) s.cancel();
    for (const c of this.#calls.values()) c.cancel();
    this.#client.close();
  }

  /** Waits for a leader, published client URLs and a decided cluster version: what recordings start from. */
  async ready(): Promise<void> {
    const end = Date.now() + readyLimitMs;
    const ask = async (call: string): Promise<JsonObject | undefined> => {
      const a = await this.#unary({ call, request: {}, timeoutMs: 1000 }).done;
      return 'response' in a ? a.response : undefined;
    };
    for (;;) {
      const status = await ask('etcdserverpb.Maintenance/Status');
      if (status?.['leader'] !== undefined) {
        const members = (await ask('etcdserverpb.Cluster/MemberList'))?.['members'] as JsonObject[] | undefined;
        const version = await this.#http({ method: 'GET', path: '/version' }).catch(() => undefined);
        if (members?.every((m) => m['clientURLs'] !== undefined) === true && version !== undefined && !version.text.includes('not_decided'))
          return;
      }
      if (Date.now() > end) throw new Error('the server was not ready in time');
      await sleep(15);
    }
  }

  async play(scenario: Scenario): Promise<void> {
    for (const [i, step] of scenario.steps.entries()) {
      try {
        await this.#step(step);
      } catch (e) {
        const ask = Object.fromEntries(Object.entries(step).filter(([k]) => !['response', 'got', 'reply', 'merged'].includes(k)));
        throw new Error(`step ${i}: ${JSON.stringify(ask).slice(0, 400)}\n${e instanceof Error ? e.message : String(e)}`, { cause: e });
      }
    }
    if (scenario.leftovers === true) return;
    for (const [name, s] of this.#streams) if (s.messages.length > 0) throw new Error(`stream ${name}: unread ${short(s.messages)}`);
  }

  #step(step: Step): Promise<void> | void {
    const name = (key: string): string => step[key] as string;
    if ('await' in step) return this.#awaitCall(step);
    if ('call' in step) return this.#call(step);
    if ('open' in step) return void this.#streams.set(name('open'), this.#open(step, name('method')));
    if ('httpOpen' in step) return void this.#streams.set(name('httpOpen'), this.#openHttp(step['http'] as JsonObject));
    if ('http' in step) return this.#httpStep(step);
    if ('send' in step) return this.#stream(name('send')).send(step['message'] ?? {});
    if ('halfClose' in step) return this.#stream(name('halfClose')).halfClose();
    if ('cancel' in step) return this.#cancel(name('cancel'));
    if ('recv' in step) return this.#receive(step);
    if ('quiet' in step) return this.#quiet(step);
    if ('end' in step) return this.#end(step);
    if ('collect' in step) return this.#collect(step);
    if ('pending' in step) return this.#pending(step);
    if ('abort' in step) {
      this.#pendingCall(name('abort')).cancel();
      return sleep(Number(step['ms'] ?? 60));
    }
    if ('sleep' in step) return sleep(Number(step['sleep']));
    throw new Error('unknown step');
  }

  get #elapsedSeconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  #check(step: Step, key: string, actual: Json): void {
    const expected = step[key];
    if (expected === undefined) throw new Error(`no ${key} is recorded, got ${short(actual)}`);
    const d = difference(expected, actual, this.#variables, this.#elapsedSeconds);
    if (d !== undefined) throw new Error(`${key} ${d}`);
    for (const [variable, path] of Object.entries((step['capture'] ?? {}) as Record<string, string>)) {
      const v = valueAt(actual, path);
      if (v === undefined) throw new Error(`nothing at ${path} to capture as $${variable}`);
      this.#variables.set(variable, v);
    }
  }

  // Unary calls.

  #metadata(step: Step): grpc.Metadata {
    const metadata = new grpc.Metadata();
    for (const [k, v] of Object.entries(substitute(step['metadata'] ?? {}, this.#variables) as JsonObject)) metadata.set(k, textOf(v));
    return metadata;
  }

  #unary(step: Step): PendingCall {
    const call = step['call'] as string;
    const method = findMethod(call);
    const request = step['request'] ?? {};
    const body =
      method === undefined
        ? Buffer.from(isObject(request) && typeof request['rawB64'] === 'string' ? request['rawB64'] : '', 'base64')
        : encodeMessage(method.request, request, this.#variables);
    const options = { deadline: Date.now() + Number(step['timeoutMs'] ?? answerLimitMs) };
    let cancel = (): void => {};
    const done = new Promise<Answer>((resolve) => {
      const sent = this.#client.makeUnaryRequest(`/${call}`, asIs, asIs, body, this.#metadata(step), options, (error, reply) => {
        if (error !== null) resolve({ error: { code: error.code, message: error.details } });
        else resolve({ response: method === undefined ? {} : decodeMessage(method.response, reply ?? Buffer.alloc(0)) });
      });
      cancel = () => sent.cancel();
    });
    const pending: PendingCall = { done, cancel, answer: undefined };
    void done.then((a) => (pending.answer = a));
    return pending;
  }

  async #call(step: Step): Promise<void> {
    const call = this.#unary(step);
    if (step['async'] === undefined) return this.#checkAnswer(step, await call.done);
    this.#calls.set(step['async'] as string, call);
    await sleep(Number(step['settleMs'] ?? 60));
  }

  #checkAnswer(step: Step, answer: Answer): void {
    if ('error' in answer) {
      if (step['error'] === undefined) throw new Error(`expected a response, got error ${short(answer.error)}`);
      this.#check(step, 'error', answer.error);
    } else {
      if (step['error'] !== undefined) throw new Error(`expected error ${short(step['error'])}, got ${short(answer.response)}`);
      this.#check(step, 'response', answer.response);
    }
  }

  #pendingCall(name: string): PendingCall {
    const call = this.#calls.get(name);
    if (call === undefined) throw new Error(`no call ${name}`);
    return call;
  }

  async #awaitCall(step: Step): Promise<void> {
    const call = this.#pendingCall(step['await'] as string);
    const answer = await Promise.race([call.done, sleep(Number(step['timeoutMs'] ?? answerLimitMs))]);
    if (answer === undefined) throw new Error('no answer in time');
    this.#checkAnswer(step, answer);
  }

  async #pending(step: Step): Promise<void> {
    await sleep(Number(step['ms'] ?? 150));
    const { answer } = this.#pendingCall(step['pending'] as string);
    if (answer !== undefined) throw new Error(`expected to wait, but it answered ${short(answer)}`);
  }

  // Streams.

  #open(step: Step, path: string): Inbox {
    const method = findMethod(path);
    if (method === undefined) throw new Error(`no such method: ${path}`);
    const inbox = new Inbox(path.endsWith('Watch/Watch'));
    const options = step['timeoutMs'] === undefined ? {} : { deadline: Date.now() + Number(step['timeoutMs']) };
    const metadata = this.#metadata(step);
    const out = (x: Json): Buffer => encodeMessage(method.request, x, this.#variables);
    let call: grpc.ClientDuplexStream<Buffer, Buffer> | grpc.ClientReadableStream<Buffer>;
    if (method.requestStream) {
      const both = this.#client.makeBidiStreamRequest(method.path, asIs, asIs, metadata, options);
      inbox.send = (m) => void both.write(out(m));
      inbox.halfClose = () => both.end();
      call = both;
    } else call = this.#client.makeServerStreamRequest(method.path, asIs, asIs, out(step['request'] ?? {}), metadata, options);
    inbox.cancel = () => call.cancel();
    call.on('data', (b: Buffer) => inbox.push(decodeMessage(method.response, b)));
    call.on('error', () => {});
    call.on('status', (s: grpc.StatusObject) => inbox.close({ code: s.code, message: s.details }));
    return inbox;
  }

  #stream(name: string): Inbox {
    const s = this.#streams.get(name);
    if (s === undefined) throw new Error(`no open stream ${name}`);
    return s;
  }

  async #receive(step: Step): Promise<void> {
    const s = this.#stream(step['recv'] as string);
    const want = (step['want'] ?? {}) as JsonObject;
    const count = Number(step['count'] ?? 0);
    const enough = (n: number): boolean => (s.isWatch ? holdsWanted(s.messages.slice(0, n), want) : n >= count);
    await s.until(() => enough(s.messages.length), Number(step['timeoutMs'] ?? answerLimitMs));
    if (!enough(s.messages.length))
      throw new Error(
        `waited for ${short(step['want'] ?? step['count'])}, have ${short(s.messages)}${s.end === undefined ? '' : `, ended with ${short(s.end)}`}`,
      );
    let n = 0;
    while (!enough(n)) n++;
    const taken = s.messages.splice(0, n);
    this.#check(step, 'got', s.isWatch ? watchView(taken) : taken);
  }

  async #quiet(step: Step): Promise<void> {
    const s = this.#stream(step['quiet'] as string);
    await sleep(Number(step['ms'] ?? 150));
    if (s.messages.length > 0) throw new Error(`expected silence, got ${short(s.messages)}`);
  }

  async #cancel(name: string): Promise<void> {
    const s = this.#stream(name);
    if (s.messages.length > 0) throw new Error(`unread messages ${short(s.messages)}`);
    s.cancel();
    await s.until(() => s.end !== undefined, 1000);
    this.#streams.delete(name);
  }

  async #end(step: Step): Promise<void> {
    const s = this.#stream(step['end'] as string);
    await s.until(() => false, Number(step['timeoutMs'] ?? answerLimitMs));
    if (s.end === undefined) throw new Error('the stream did not end');
    if (s.messages.length > 0) throw new Error(`unread messages ${short(s.messages)}`);
    this.#check(step, 'status', s.end.code === 0 ? { code: 0 } : ({ ...s.end } as JsonObject));
  }

  async #collect(step: Step): Promise<void> {
    const path = step['collect'] as string;
    const s = this.#open(step, path);
    await s.until(() => false, Number(step['timeoutMs'] ?? answerLimitMs));
    s.cancel();
    if (s.end === undefined) throw new Error('the stream did not end');
    if (s.end.code !== 0) this.#check(step, 'error', { ...s.end } as JsonObject);
    else if (path.endsWith('/RangeStream')) this.#check(step, 'merged', joinedRange(s.messages));
    else if (path.endsWith('/Snapshot')) this.#check(step, 'summary', snapshotSummary(s.messages));
    else this.#check(step, 'messages', s.messages);
  }

  // HTTP.

  #httpRequest(spec: JsonObject): http.ClientRequest {
    const s = substitute(spec, this.#variables) as JsonObject;
    const body = s['rawBody'] !== undefined ? textOf(s['rawBody']) : s['body'] !== undefined ? JSON.stringify(s['body']) : undefined;
    const headers: Record<string, string> =
      body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)) };
    Object.assign(headers, s['headers'] ?? {});
    const { host, clientPort: port } = this.#address;
    const request = http.request({ host, port, method: s['method'] as string, path: s['path'] as string, headers, agent: false });
    request.end(body);
    return request;
  }

  #http(spec: JsonObject): Promise<{ status: number; contentType: string | undefined; text: string }> {
    return new Promise((resolve, reject) => {
      const request = this.#httpRequest(spec);
      request.setTimeout(answerLimitMs, () => request.destroy(new Error('HTTP request timed out')));
      request.on('error', reject);
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (d: string) => (text += d));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, contentType: response.headers['content-type'], text }));
      });
    });
  }

  async #httpStep(step: Step): Promise<void> {
    const { status, contentType, text } = await this.#http(step['http'] as JsonObject);
    const actual: JsonObject = { status };
    if (contentType !== undefined) actual['contentType'] = contentType;
    let json: Json | undefined;
    try {
      json = JSON.parse(text) as Json;
    } catch {
      json = undefined;
    }
    if (step['anyBody'] !== true) {
      if (typeof json === 'object' && json !== null) actual['json'] = json;
      else if (text !== '') actual['text'] = step['sortLines'] === true ? text.split('\n').sort().join('\n') : text;
    }
    this.#check(step, 'reply', actual);
  }

  #openHttp(spec: JsonObject): Inbox {
    const inbox = new Inbox((spec['path'] as string).endsWith('/watch'));
    const request = this.#httpRequest(spec);
    inbox.cancel = () => request.destroy();
    request.on('error', (e) => inbox.close({ message: e.message }));
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (d: string) => {
        text += d;
        for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n')) {
          const line = text.slice(0, i).trim();
          text = text.slice(i + 1);
          if (line === '') continue;
          const message = JSON.parse(line) as JsonObject;
          inbox.push(inbox.isWatch && isObject(message['result']) ? message['result'] : message);
        }
      });
      response.on('error', () => {});
      response.on('close', () => inbox.close({ message: 'closed' }));
    });
    return inbox;
  }
}

/** All chunks joined. Header, more and count may stand in the last one only. */
function joinedRange(chunks: readonly JsonObject[]): JsonObject {
  const kvs: Json[] = [];
  const joined: JsonObject = {};
  for (const [i, chunk] of chunks.entries()) {
    const r = (chunk['range_response'] ?? {}) as JsonObject;
    kvs.push(...((r['kvs'] ?? []) as Json[]));
    for (const k of ['header', 'more', 'count']) {
      if (r[k] === undefined) continue;
      if (i < chunks.length - 1) throw new Error(`chunk ${i} of ${chunks.length} has ${k}; only the last may`);
      joined[k] = r[k];
    }
  }
  if (kvs.length > 0) joined['kvs'] = kvs;
  return joined;
}

function snapshotSummary(messages: readonly JsonObject[]): JsonObject {
  const blobs = messages.map((m) => (m['blob'] === undefined ? Buffer.alloc(0) : bytesOf(m['blob'])));
  const data = blobs.slice(0, -1);
  let left = data.reduce((n, b) => n + b.length, 0);
  const total = left;
  const countsDown = data.every((b, i) => Number(messages[i]?.['remaining_bytes'] ?? 0) === (left -= b.length));
  const hash = createHash('sha256');
  for (const b of data) hash.update(b);
  return {
    hasData: total > 0,
    wholePages: total % 4096 === 0,
    remainingBytesCountDown: countsDown,
    trailerIsSha256: blobs.at(-1)?.equals(hash.digest()) === true,
    trailerRemaining: String((messages.at(-1)?.['remaining_bytes'] as string | undefined) ?? 0),
    sameVersion: messages.every((m) => m['version'] === messages[0]?.['version']),
  };
}
