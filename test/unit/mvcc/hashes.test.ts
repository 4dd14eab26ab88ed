// HashKV and Hash equal what a real etcd answered after the same operations (recorded by record-hashes.mjs).
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import type { HashResult, WriteTxn } from '../../../src/server/mvcc/types.ts';
import { bytes, Harness, keyRange } from './harness.ts';

type Put = [key: string, value: string, lease?: number | string];
type Delete = [key: string] | [key: string, end: string];

interface Step {
  readonly put?: Put;
  readonly delete?: Delete;
  readonly txn?: readonly { readonly put?: Put; readonly delete?: Delete }[];
  readonly compact?: number;
  readonly restart?: true;
  readonly hashKV?: number;
  readonly is?: readonly number[] | 'compacted' | 'future';
  readonly hash?: number;
  readonly member?: { readonly id: string; readonly name: string; readonly peerURLs: string[]; readonly clientURLs: string[] };
}

interface Recording {
  readonly scenarios: readonly { readonly name: string; readonly steps: readonly Step[] }[];
}

const recording = JSON.parse(readFileSync(new URL('../../data/mvcc/hashes.json', import.meta.url), 'utf8')) as Recording;

function write(txn: WriteTxn, op: { readonly put?: Put | undefined; readonly delete?: Delete | undefined }): void {
  if (op.put !== undefined) txn.put(bytes(op.put[0]), bytes(op.put[1]), BigInt(op.put[2] ?? 0));
  if (op.delete !== undefined) txn.deleteRange(keyRange(op.delete[0], op.delete[1]));
}

function hashKV(h: Harness, rev: number): unknown {
  let answer: unknown;
  h.store.hashByRev(rev, (error, result) => {
    answer =
      error === undefined
        ? [result?.hash, result?.compactRevision, result?.hashRevision]
        : error.code === 'compacted'
          ? 'compacted'
          : 'future';
  });
  h.clock.settle(() => answer !== undefined);
  return answer;
}

function hashOf(h: Harness, rev: number): HashResult | undefined {
  let answer: HashResult | undefined;
  h.store.hashByRev(rev, (_error, result) => (answer = result));
  h.clock.settle(() => answer !== undefined);
  return answer;
}

/** The small buckets of a member that has just been made. */
function fillBuckets(h: Harness, member: NonNullable<Step['member']>): void {
  const { backend } = h;
  const { id, peerURLs, name, clientURLs } = member;
  const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value).replace('"ID"', id));
  backend.put('auth', utf8('authRevision'), Buffer.from('0000000000000001', 'hex'));
  backend.put('cluster', utf8('clusterVersion'), utf8('3.7.0'));
  backend.put('members', utf8(BigInt(id).toString(16)), json({ id: 'ID', peerURLs, name, clientURLs }));
  backend.put('meta', utf8('confState'), json({ voters: ['ID'], auto_leave: false }));
  backend.put('meta', utf8('storageVersion'), utf8('3.7.0'));
}

describe.each(recording.scenarios)('$name', ({ steps }) => {
  test.each([0, 0.2])('a look at the clock takes %d ms', (lookMs) => {
    const h = new Harness();
    h.clock.lookMs = lookMs;
    let hashes = 0;
    steps.forEach((step, i) => {
      if (step.hashKV !== undefined) {
        expect({ step: i, rev: step.hashKV, answer: hashKV(h, step.hashKV) }).toEqual({ step: i, rev: step.hashKV, answer: step.is });
        hashes++;
      } else if (step.compact !== undefined) h.compact(step.compact);
      else if (step.restart === true) {
        h.store.close();
        h.store = h.open();
      } else if (step.hash !== undefined && step.member !== undefined) {
        fillBuckets(h, step.member);
        let hash = -1;
        h.store.hash((value) => (hash = value));
        h.clock.settle(() => hash >= 0);
        expect(hash).toBe(step.hash);
      } else {
        h.txn((t) => {
          for (const op of step.txn ?? [step]) write(t, op);
        });
      }
    });
    expect(hashes).toBeGreaterThan(5);
  });
});

test('where nothing is visible, the hash tells of the compaction there', () => {
  // What two etcds 3.7.1 answered: the second has compacted at the last tombstone.
  const answers = [2640072730, 2212977663].map((hash) => ({ hash, compactRevision: 4, hashRevision: 6, bare: true }));
  const stores = answers.map((answer, i) => {
    const h = new Harness();
    for (const [key, value] of [
      ['a', '1'],
      ['a', '1'],
      ['b', '2'],
    ] as const)
      h.put(key, value);
    expect(hashOf(h, 4)).toMatchObject({ bare: false });
    h.compact(4);
    expect(hashOf(h, 4)).toMatchObject({ bare: false });
    for (const key of ['a', 'b']) h.txn((t) => t.deleteRange(keyRange(key)));
    expect(hashOf(h, 5)).toMatchObject({ bare: false });
    if (i === 1) h.compact(6);
    expect(hashOf(h, 6)).toEqual(answer);
    expect(hashOf(h, 0)).toMatchObject({ bare: true });
    return h;
  });
  for (const h of stores) {
    h.put('c', '3');
    expect(hashOf(h, 0)).toMatchObject({ bare: false });
  }
});
