/**
 * One other member: two streams each way, posts for when they are down, and what is known of its health.
 *
 * A *remote* is one that announced itself before this member has learnt of it (this member is joining and its log is not there yet): it is answered by
 * posts alone.
 */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { type MemberId, type Message, MessageType } from '../../raft/types.ts';
import type { HttpResponse } from '../../wire/http.ts';
import type { OwnIdentity } from './compatibility.ts';
import type { PeerClient } from './peer-client.ts';
import type { PeerMetrics } from './peer-metrics.ts';
import { PeerStatus } from './peer-status.ts';
import { Pipeline } from './pipeline.ts';
import { Prober } from './prober.ts';
import { StreamReader } from './stream-reader.ts';
import { type StreamKind, streamNames, StreamWriter } from './stream-writer.ts';

export interface PeerOptions {
  readonly id: MemberId;
  readonly own: OwnIdentity;
  readonly client: PeerClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: PeerMetrics;
  readonly readTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly receive: (m: Message, from: MemberId) => void;
  /** A message could not be sent. */
  readonly unreachable: (id: MemberId) => void;
  readonly onRemoved: () => void;
}

/** What a peer and a remote have in common. */
export interface Target {
  readonly id: MemberId;
  readonly client: PeerClient;
  send(m: Message): void;
  flush(): void;
  stop(): void;
}

export class Remote implements Target {
  readonly id: MemberId;
  readonly client: PeerClient;
  readonly #pipeline: Pipeline;

  constructor(options: PeerOptions) {
    this.id = options.id;
    this.client = options.client;
    this.#pipeline = pipelineOf(options, undefined);
  }

  send(m: Message): void {
    this.#pipeline.send(m);
  }

  flush(): void {}

  stop(): void {
    this.#pipeline.stop();
    this.client.close();
  }
}

export class Peer implements Target {
  readonly id: MemberId;
  readonly client: PeerClient;
  readonly status: PeerStatus;
  readonly #o: PeerOptions;
  readonly #writers: Readonly<Record<StreamKind, StreamWriter>>;
  readonly #readers: readonly StreamReader[];
  readonly #pipeline: Pipeline;
  readonly #prober: Prober;
  #stopped = false;

  constructor(options: PeerOptions) {
    this.#o = options;
    const { id, client, clock, log, metrics, own } = options;
    this.id = id;
    this.client = client;
    this.status = new PeerStatus({ clock, log, local: own.memberId, id, metrics });
    this.#writers = { message: this.#writer('message'), msgapp: this.#writer('msgapp') };
    this.#pipeline = pipelineOf(options, this.status);
    this.#readers = (['message', 'msgapp'] as const).map(
      (kind) =>
        new StreamReader({
          kind,
          own,
          peer: id,
          client,
          clock,
          log,
          readTimeoutMs: options.readTimeoutMs,
          onMessage: (m) => options.receive(m, id),
          onUp: () => this.status.up(),
          onDown: (what, error) => this.status.down(what, error),
          onReceived: (bytes) => metrics.received(id, bytes),
          onRemoved: options.onRemoved,
        }),
    );
    this.#prober = new Prober({ peer: id, client, clock, log, onRoundTrip: (s) => metrics.roundTrip(id, s) });
  }

  start(): void {
    const { log, own } = this.#o;
    const fields = { 'local-member-id': own.memberId, 'remote-peer-id': this.id };
    log.info('started HTTP pipelining with remote peer', fields);
    for (const kind of Object.values(streamNames)) {
      log.info('started stream writer with remote peer', fields);
      log.info('started stream reader with remote peer', { 'stream-reader-type': kind, ...fields });
    }
    for (const r of this.#readers) r.start();
  }

  #writer(kind: StreamKind): StreamWriter {
    const { clock, log, own, metrics, id, writeTimeoutMs } = this.#o;
    const fields = {
      'stream-writer-type': streamNames[kind],
      'local-member-id': own.memberId,
      'remote-peer-id': id,
    };
    return new StreamWriter({
      kind,
      clock,
      writeTimeoutMs,
      onUp: () => {
        this.status.up();
        log.info('established TCP streaming connection with remote peer', fields);
      },
      onDown: (error) => {
        // An end of our own making is no news.
        if (this.#stopped) return;
        this.status.down('write stream', error);
        log.warn('lost TCP streaming connection with remote peer', { ...fields, error });
        this.#o.unreachable(id);
      },
      onSent: (bytes) => metrics.sent(id, bytes),
    });
  }

  attach(kind: StreamKind, response: HttpResponse): void {
    this.#writers[kind].attach(response);
  }

  detach(kind: StreamKind, response: HttpResponse, error: string): void {
    this.#writers[kind].detach(response, error);
  }

  /** Queued on the fitting channel; a message that finds no room is lost, and raft is told. Streams leave with `flush`. */
  send(m: Message): void {
    const { msgapp, message } = this.#writers;
    const sent =
      m.type === MessageType.MsgApp && msgapp.attached ? msgapp.send(m) : message.attached ? message.send(m) : this.#pipeline.send(m);
    if (sent) return;
    this.#o.metrics.sendFailed(this.id);
    this.#o.unreachable(this.id);
  }

  flush(): void {
    this.#writers.msgapp.flush();
    this.#writers.message.flush();
  }

  heartbeat(): void {
    this.#writers.msgapp.heartbeat();
    this.#writers.message.heartbeat();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const { log, own } = this.#o;
    log.info('stopping remote peer', { 'remote-peer-id': this.id });
    for (const r of this.#readers) r.stop();
    for (const w of Object.values(this.#writers)) w.close('the peer is stopped');
    this.#pipeline.stop();
    this.#prober.stop();
    this.client.close();
    const fields = { 'local-member-id': own.memberId, 'remote-peer-id': this.id };
    for (const kind of Object.values(streamNames)) {
      log.info('stopped TCP streaming connection with remote peer', { 'stream-writer-type': kind, 'remote-peer-id': this.id });
      log.info('stopped stream reader with remote peer', { 'stream-reader-type': kind, ...fields });
    }
    log.info('stopped HTTP pipelining with remote peer', fields);
    log.info('stopped remote peer', { 'remote-peer-id': this.id });
  }
}

function pipelineOf(options: PeerOptions, status: PeerStatus | undefined): Pipeline {
  const { id, own, client, log, metrics, unreachable, onRemoved } = options;
  return new Pipeline({
    own,
    peer: id,
    client,
    log,
    onUp: () => status?.up(),
    onDown: (what, error) => status?.down(what, error),
    onSent: (bytes) => metrics.sent(id, bytes),
    onFailed: () => {
      metrics.sendFailed(id);
      unreachable(id);
    },
    onRemoved,
  });
}
