// Random requests. They stay away from what makes a real etcd stop for good (an open-ended delete before a put that ignores value or lease in
// one txn; an alarm with an unknown action) and from what depends on time.

const latin = (s) => Buffer.from(s, 'latin1');

/** Few keys, so that they meet; edges of the order among them. */
const keys = [
  ...[
    'a',
    'a\0',
    'a\0\0',
    'aa',
    'ab',
    'b',
    'b\0',
    'c',
    'foo',
    'foo/1',
    'foo/2',
    'foo/20',
    'foo0',
    'z',
    '\0',
    '\0\0',
    '\xff',
    '\xff\xff',
    '\xfe\xff',
  ],
  ...Array.from({ length: 24 }, (_, i) => `k/${String(i).padStart(2, '0')}`),
];

export class Generator {
  rng;
  /** Latest known revision and last compacted one, of the answers. */
  revision = 1;
  compacted = 0;
  /** Ids of leases that were granted. */
  leases = [];
  #nextLease = 1000;
  #nextTtl = 5000;

  constructor(rng) {
    this.rng = rng;
  }

  key() {
    return this.rng.chance(0.02) ? Buffer.alloc(0) : latin(this.rng.pick(keys));
  }

  value() {
    const { rng } = this;
    if (rng.chance(0.1)) return Buffer.alloc(0);
    if (rng.chance(0.02)) return Buffer.alloc(rng.int(20_000), rng.int(256));
    return latin(`v${rng.int(6)}`);
  }

  range() {
    const { rng } = this;
    const key = this.key();
    const end = rng.weighted([
      [4, () => undefined],
      [3, () => latin(rng.pick(keys))],
      [2, () => prefixEnd(key)],
      [2, () => Buffer.of(0)],
      [0.5, () => key],
      [0.5, () => Buffer.concat([key, Buffer.of(0)])],
      [0.3, () => Buffer.alloc(0)],
    ])();
    if (rng.chance(0.1)) return { key: Buffer.of(0), range_end: Buffer.of(0) };
    return end === undefined ? { key } : { key, range_end: end };
  }

  someRevision() {
    const { rng, revision, compacted } = this;
    return rng.weighted([
      [5, () => compacted + rng.int(Math.max(1, revision - compacted + 1))],
      [2, () => revision],
      [1, () => revision + 1 + rng.int(3)],
      [1, () => compacted],
      [1, () => rng.int(Math.max(1, compacted))],
      [0.5, () => -rng.int(5)],
      [0.2, () => '9223372036854775807'],
      [0.2, () => '-9223372036854775808'],
    ])();
  }

  lease() {
    const { rng } = this;
    if (rng.chance(0.08)) return rng.pick([7, -5, '9223372036854775807', 999]);
    return this.leases.length === 0 ? 0 : rng.pick(this.leases);
  }

  rangeRequest() {
    const { rng } = this;
    const r = this.range();
    if (rng.chance(0.3)) r.limit = rng.pick([1, 2, 3, 5, 10, 100, -1, '9223372036854775807']);
    if (rng.chance(0.35)) r.revision = this.someRevision();
    if (rng.chance(0.4)) r.sort_order = rng.chance(0.03) ? 7 : rng.int(3);
    if (rng.chance(0.4)) r.sort_target = rng.chance(0.03) ? 9 : rng.int(5);
    if (rng.chance(0.15)) r.keys_only = true;
    if (rng.chance(0.15)) r.count_only = true;
    if (rng.chance(0.3)) r.serializable = true;
    for (const f of ['min_mod_revision', 'max_mod_revision', 'min_create_revision', 'max_create_revision']) {
      if (rng.chance(0.08)) r[f] = this.someRevision();
    }
    return r;
  }

  putRequest(ignore = true) {
    const { rng } = this;
    const r = { key: this.key(), value: this.value() };
    if (rng.chance(0.25)) r.lease = this.lease();
    if (rng.chance(0.3)) r.prev_kv = true;
    if (ignore && rng.chance(0.08)) {
      r.ignore_value = true;
      if (rng.chance(0.8)) delete r.value;
    }
    if (ignore && rng.chance(0.08)) {
      r.ignore_lease = true;
      if (rng.chance(0.8)) delete r.lease;
    }
    return r;
  }

  deleteRequest() {
    const r = this.range();
    // Whole stores are not emptied all the time.
    if (r.range_end?.length === 1 && r.range_end[0] === 0 && this.rng.chance(0.8)) delete r.range_end;
    if (this.rng.chance(0.4)) r.prev_kv = true;
    return r;
  }

  compare() {
    const { rng } = this;
    const c = this.range();
    if (rng.chance(0.5)) delete c.range_end;
    c.result = rng.int(4);
    c.target = rng.int(5);
    const union = rng.chance(0.06) ? rng.int(6) : c.target;
    const revision = () =>
      rng.weighted([
        [3, () => rng.int(this.revision + 2)],
        [1, () => 0],
        [0.2, () => -1],
      ])();
    if (union === 0) c.version = rng.int(4);
    else if (union === 1) c.create_revision = revision();
    else if (union === 2) c.mod_revision = revision();
    else if (union === 3) c.value = this.value();
    else if (union === 4) c.lease = this.lease();
    return c;
  }

  txnRequest(depth = 0, ignore = this.rng.chance(0.3)) {
    const { rng } = this;
    const ops = () =>
      Array.from(
        {
          length: rng.weighted([
            [1, 0],
            [3, 1],
            [3, 2],
            [2, 3],
            [1, 5],
            [0.1, 140],
          ]),
        },
        () => this.#op(depth, ignore),
      );
    return {
      compare: Array.from(
        {
          length: rng.weighted([
            [3, 0],
            [4, 1],
            [2, 2],
            [0.05, 140],
          ]),
        },
        () => this.compare(),
      ),
      success: ops(),
      failure: rng.chance(0.6) ? ops() : [],
    };
  }

  /** `ignore`: puts that ignore value or lease may come, open-ended deletes then not. */
  #op(depth, ignore) {
    const { rng } = this;
    const kind = rng.weighted([
      [4, 'put'],
      [3, 'range'],
      [2, 'delete'],
      [depth < 3 ? 1.2 : 0, 'txn'],
      [0.03, 'none'],
    ]);
    if (kind === 'put') return { request_put: this.putRequest(ignore) };
    if (kind === 'range') return { request_range: this.rangeRequest() };
    if (kind === 'txn') return { request_txn: this.txnRequest(depth + 1, ignore) };
    if (kind === 'none') return {};
    const r = this.deleteRequest();
    if (ignore) delete r.range_end;
    return { request_delete_range: r };
  }

  grantRequest() {
    const { rng } = this;
    const ID = rng.chance(0.1) && this.leases.length > 0 ? rng.pick(this.leases) : this.#nextLease++;
    // Far apart, so that lists sorted by expiry come in one order.
    const TTL = rng.chance(0.04) ? '9000000001' : (this.#nextTtl += 60);
    return { TTL, ID };
  }

  watchCreate() {
    const { rng } = this;
    const w = this.range();
    if (rng.chance(0.4)) w.start_revision = this.someRevision();
    if (rng.chance(0.3)) w.prev_kv = true;
    if (rng.chance(0.2)) w.progress_notify = true;
    if (rng.chance(0.2)) w.fragment = true;
    if (rng.chance(0.2)) w.filters = rng.pick([[0], [1], [0, 1], [1, 1]]);
    if (rng.chance(0.15)) w.watch_id = rng.pick([1, 2, 7, 8, -1, 100]);
    return w;
  }
}

export function prefixEnd(key) {
  const end = Buffer.from(key);
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i] < 0xff) {
      end[i]++;
      return end.subarray(0, i + 1);
    }
  }
  return Buffer.of(0);
}
