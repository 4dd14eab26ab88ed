/** Single messages by POST: for a peer whose streams are not up yet, and for one that this member does not know as a peer. */
import { MessageCodec } from '../../api/gen/raftpb.ts';
import type { Log } from '../../base/log.ts';
import type { MemberId, Message } from '../../raft/types.ts';
import { type OwnIdentity, ownHeaders } from './compatibility.ts';
import type { PeerClient } from './peer-client.ts';

/** Posts to one peer at once. */
const concurrentMax = 4;
/** Messages waiting for a post; more are dropped. */
const queueMax = 64;
/** Bytes of messages waiting: a queue of 1 MiB each is more than a dead peer is worth. */
const queueBytesMax = 64 * 1024 * 1024;
/** A post that is not answered in this time is given up, so that a peer that hangs does not hold all four. */
const postTimeoutMs = 30_000;
const answerBytesMax = 64 * 1024;

export interface PipelineOptions {
  readonly own: OwnIdentity;
  readonly peer: MemberId;
  readonly client: PeerClient;
  readonly log: Log;
  readonly onUp: () => void;
  readonly onDown: (what: string, error: string) => void;
  readonly onSent: (bytes: number) => void;
  readonly onFailed: () => void;
  /** The peer says that this member was removed from the cluster. */
  readonly onRemoved: () => void;
}

export class Pipeline {
  readonly #o: PipelineOptions;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  readonly #posts = new Set<{ cancel(): void }>();
  #stopped = false;

  constructor(options: PipelineOptions) {
    this.#o = options;
  }

  /** False when there is no room. */
  send(m: Message): boolean {
    if (this.#stopped || this.#queue.length >= queueMax || this.#queuedBytes > queueBytesMax) return false;
    const bytes = MessageCodec.encode(m);
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#next();
    return true;
  }

  stop(): void {
    this.#stopped = true;
    this.#queue = [];
    for (const post of this.#posts) post.cancel();
    this.#posts.clear();
  }

  #next(): void {
    while (!this.#stopped && this.#posts.size < concurrentMax) {
      const bytes = this.#queue.shift();
      if (bytes === undefined) return;
      this.#queuedBytes -= bytes.length;
      this.#post(bytes);
    }
  }

  #post(bytes: Uint8Array): void {
    const { own, client, onUp, onDown, onSent, onFailed, onRemoved, log, peer } = this.#o;
    const post = client.ask(
      {
        method: 'POST',
        path: '/raft',
        headers: { ...ownHeaders(own), 'Content-Type': 'application/protobuf' },
        body: bytes,
        timeoutMs: postTimeoutMs,
        bytesMax: answerBytesMax,
      },
      (error, answer) => {
        this.#posts.delete(post);
        if (this.#stopped) return;
        if (answer?.status === 204) {
          onUp();
          onSent(bytes.length);
        } else {
          const reason = error?.message ?? answer?.body.toString('utf8').trim() ?? '';
          // A peer that has taken over another's URL answers 403 as well: that says nothing of this member.
          if (answer?.status === 403 && reason.includes('removed member')) onRemoved();
          else if (answer?.status === 412) {
            log.warn('request sent was ignored by remote peer', {
              'local-member-id': own.memberId,
              'remote-peer-id': peer,
              'local-member-cluster-id': own.clusterId,
              'remote-peer-cluster-id': answer.headers['x-etcd-cluster-id'],
              error: reason,
            });
          }
          onDown('write', reason);
          onFailed();
        }
        this.#next();
      },
    );
    this.#posts.add(post);
  }
}
