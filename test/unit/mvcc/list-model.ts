/** The semantics in their plainest form: a list of versions for each key. */
export interface ModelVersion {
  readonly key: string;
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
  readonly createRevision: number;
  readonly version: number;
  readonly value: string;
  readonly lease: bigint;
}

export interface ModelKv {
  readonly key: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly value: string;
  readonly lease: bigint;
}

export class ListModel {
  rev = 1;
  compactRev = -1;
  /** In revision order; never thrown away. */
  readonly log: ModelVersion[] = [];
  readonly keys = new Map<string, ModelVersion[]>();
  #sub = 0;

  begin(): void {
    this.#sub = 0;
  }

  put(key: string, value: string, lease: bigint): void {
    const last = this.keys.get(key)?.at(-1);
    const live = last !== undefined && !last.tombstone;
    const main = this.rev + 1;
    this.#add({
      key,
      main,
      sub: this.#sub++,
      tombstone: false,
      createRevision: live ? last.createRevision : main,
      version: live ? last.version + 1 : 1,
      value,
      lease,
    });
  }

  /** `end` undefined: one key; '' = unbounded. */
  delete(key: string, end: string | undefined): number {
    const found = this.at(Infinity, key, end);
    for (const kv of found) {
      this.#add({
        key: kv.key,
        main: this.rev + 1,
        sub: this.#sub++,
        tombstone: true,
        createRevision: 0,
        version: 0,
        value: '',
        lease: 0n,
      });
    }
    return found.length;
  }

  end(): void {
    if (this.#sub > 0) this.rev++;
  }

  #add(v: ModelVersion): void {
    this.log.push(v);
    const list = this.keys.get(v.key);
    if (list === undefined) this.keys.set(v.key, [v]);
    else list.push(v);
  }

  /** What is visible at a revision, in key order. */
  at(rev: number, key: string, end: string | undefined): ModelKv[] {
    const out: ModelKv[] = [];
    for (const [k, versions] of this.keys) {
      if (end === undefined ? k !== key : k < key || (end !== '' && k >= end)) continue;
      const v = newest(versions, rev);
      if (v === undefined || v.tombstone) continue;
      out.push({ key: k, createRevision: v.createRevision, modRevision: v.main, version: v.version, value: v.value, lease: v.lease });
    }
    return out.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Rows that are left once a compaction at `compactRev` is through. */
  rows(): string[] {
    const left = this.log.filter((v) => {
      if (v.main > this.compactRev) return true;
      if (v.tombstone) return v.main === this.compactRev;
      return newest(this.keys.get(v.key) ?? [], this.compactRev) === v;
    });
    return left.map(rowText);
  }
}

export function rowText(v: { readonly main: number; readonly sub: number; readonly tombstone: boolean; readonly key: string }): string {
  return `${String(v.main)}.${String(v.sub)}${v.tombstone ? 't' : ''} ${v.key}`;
}

function newest(versions: readonly ModelVersion[], rev: number): ModelVersion | undefined {
  for (let i = versions.length - 1; i >= 0; i--) {
    const v = versions[i];
    if (v !== undefined && v.main <= rev) return v;
  }
  return undefined;
}
