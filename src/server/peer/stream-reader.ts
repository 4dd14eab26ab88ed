/** The receiving end of one stream: dials the peer, reads until the link breaks, dials again. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { MemberId, Message } from '../../raft/types.ts';
import { idText } from '../membership/ids.ts';
import { type OwnIdentity, ownHeaders, servesStreams } from './compatibility.ts';
import { decoderOf } from './framing.ts';
import type { PeerClient } from './peer-client.ts';
import { type StreamKind, streamNames } from './stream-writer.ts';

/** Least time between two dials of one stream: ten a second. */
const redialMs = 100;
/**
 * A stream that fell silent is kept for so long while another is dialled, ms. To close it tells the peer (which then posts its messages) only that this
 * end hears nothing: on a link that loses what comes this way there is nothing better yet, and where a new stream can be had it takes the old one's place.
 */
const silentMaxMs = 60_000;
/** Bytes of a refusal's body that are read. */
const refusalBytesMax = 1024;

export interface StreamReaderOptions {
  readonly kind: StreamKind;
  readonly own: OwnIdentity;
  readonly peer: MemberId;
  readonly client: PeerClient;
  readonly clock: Clock;
  readonly log: Log;
  /** A link on which nothing comes for so long counts as lost and is dialled anew, ms: the other side sends a heartbeat each third of it. */
  readonly readTimeoutMs: number;
  readonly onMessage: (m: Message) => void;
  readonly onUp: () => void;
  readonly onDown: (what: string, error: string) => void;
  readonly onReceived: (bytes: number) => void;
  /** The peer says that this member was removed from the cluster. */
  readonly onRemoved: () => void;
}

export class StreamReader {
  readonly #o: StreamReaderOptions;
  #request: ClientRequest | undefined;
  #watch: Timer | undefined;
  #redial: Timer | undefined;
  /** Gives up a stream that fell silent. */
  #dropSilent: (() => void) | undefined;
  #dialledMs = -Infinity;
  #stopped = false;
  /** The last failure, so that a peer that is down is logged once. */
  #told = '';

  constructor(options: StreamReaderOptions) {
    this.#o = options;
  }

  start(): void {
    this.#dial();
  }

  stop(): void {
    this.#stopped = true;
    this.#redial?.cancel();
    this.#watch?.cancel();
    this.#request?.destroy();
    this.#dropSilent?.();
  }

  #dial(): void {
    const { client, own, kind, peer, clock } = this.#o;
    if (this.#stopped) return;
    this.#dialledMs = clock.mono();
    const { url } = client;
    let over = false;
    let request: ClientRequest | undefined;
    /** Set once this stream is silent and another is on its way. */
    let drop: (() => void) | undefined;
    const fail = (what: string, error: string): void => {
      if (over) return;
      if (drop !== undefined) {
        drop();
        return;
      }
      over = true;
      this.#watch?.cancel();
      request?.destroy();
      this.#request = undefined;
      if (this.#stopped) return;
      client.failed(url);
      this.#lost(what, error);
      const wait = Math.max(0, this.#dialledMs + redialMs - clock.mono());
      this.#redial = clock.after(wait, () => this.#dial());
    };
    const dialling = `dial ${idText(peer)} on stream ${streamNames[kind]}`;
    try {
      request = client.open(url, {
        method: 'GET',
        path: `/raft/stream/${kind}/${idText(own.memberId)}`,
        headers: { ...ownHeaders(own), 'X-Raft-To': idText(peer) },
      });
    } catch (error) {
      fail(dialling, error instanceof Error ? error.message : String(error));
      return;
    }
    this.#request = request;
    // An answer that does not come is a dead link as well.
    this.#watch?.cancel();
    let heardMs = clock.mono();
    let lookedMs = heardMs;
    /**
     * This process stood still for longer than a link may be silent: the peer has given this link up as well by now. What waits in it is as old, and may
     * be of a leader that is gone. In etcd it is read, but posts of the new term mostly come first, and the rest is ignored for its lower term (its
     * TestIssue20271 waits for that); here the stream always came first. What is dropped is sent again: the peer's log still has it, or a snapshot.
     */
    const stoodStill = (): boolean => clock.mono() - lookedMs > this.#o.readTimeoutMs;
    this.#watch = clock.every(this.#o.readTimeoutMs / 4, () => {
      const still = stoodStill();
      lookedMs = clock.mono();
      if (lookedMs - heardMs <= this.#o.readTimeoutMs) return;
      if (!connected || still) {
        fail(connected ? reading : dialling, 'i/o timeout');
        return;
      }
      this.#watch?.cancel();
      this.#request = undefined;
      const giveUp = clock.after(silentMaxMs - this.#o.readTimeoutMs, () => drop?.());
      drop = () => {
        over = true;
        giveUp.cancel();
        request?.destroy();
        if (this.#dropSilent === drop) this.#dropSilent = undefined;
      };
      this.#dropSilent?.();
      this.#dropSilent = drop;
      client.failed(url);
      this.#lost(reading, 'i/o timeout');
      this.#dial();
    });
    let connected = false;
    const reading = `read ${streamNames[kind]}`;
    request.on('error', (error) => fail(connected ? reading : dialling, error.message));
    request.on('response', (response) => {
      heardMs = clock.mono();
      if (over) return;
      if (response.statusCode !== 200) {
        this.#refused(response, (text) => fail(dialling, text));
        return;
      }
      const version = response.headers['x-server-version'];
      if (!servesStreams(typeof version === 'string' ? version : undefined, own.serverVersion)) {
        fail(dialling, 'stream type is unsupported by the peer');
        return;
      }
      connected = true;
      this.#dropSilent?.();
      this.#connected();
      const decoder = decoderOf(kind, { local: own.memberId, remote: peer });
      response.on('data', (chunk: Buffer) => {
        if (over) return;
        if (drop === undefined && stoodStill()) {
          fail(reading, 'i/o timeout');
          return;
        }
        heardMs = clock.mono();
        this.#o.onReceived(chunk.length);
        try {
          decoder.push(chunk, this.#o.onMessage);
        } catch (error) {
          fail(reading, error instanceof Error ? error.message : String(error));
        }
      });
      response.on('end', () => fail(reading, 'EOF'));
      response.on('aborted', () => fail(reading, 'unexpected EOF'));
      response.on('error', (error) => fail(reading, error.message));
    });
    request.end();
  }

  #connected(): void {
    const { log, kind, own, peer, onUp } = this.#o;
    this.#told = '';
    onUp();
    log.info('established TCP streaming connection with remote peer', {
      'stream-reader-type': streamNames[kind],
      'local-member-id': own.memberId,
      'remote-peer-id': peer,
    });
  }

  #lost(what: string, error: string): void {
    const { log, kind, own, peer, onDown } = this.#o;
    onDown(what, error);
    if (this.#told === error) return;
    this.#told = error;
    log.warn('lost TCP streaming connection with remote peer', {
      'stream-reader-type': streamNames[kind],
      'local-member-id': own.memberId,
      'remote-peer-id': peer,
      error,
    });
  }

  #refused(response: IncomingMessage, done: (text: string) => void): void {
    const { own, onRemoved, log, peer } = this.#o;
    const status = response.statusCode ?? 0;
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (d: string) => {
      if (text.length < refusalBytesMax) text += d;
    });
    response.on('error', (error) => done(error.message));
    response.on('end', () => {
      const reason = text.trim();
      if (status === 410) {
        onRemoved();
        done('the member has been permanently removed from the cluster');
      } else if (status === 412) {
        if (this.#told !== reason) {
          log.warn('request sent was ignored by remote peer', {
            'local-member-id': own.memberId,
            'remote-peer-id': peer,
            'local-member-cluster-id': own.clusterId,
            'remote-peer-cluster-id': response.headers['x-etcd-cluster-id'],
            error: reason,
          });
        }
        done(reason);
      } else if (status === 404) done(reason === '' ? 'could not find the member' : reason);
      else done(`unhandled error "${reason}" (status ${status})`);
    });
  }
}
