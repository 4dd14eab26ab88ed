/**
 * What a history of requests must be, given the log of what happened (all events by revision, as watches delivered them):
 *
 *   1. each acknowledged write is in the log at the revision it was told, with exactly its changes; nothing is there that nobody asked for,
 *      nothing that was refused, and nothing twice
 *   2. revisions agree with real time: what was done before a request began has a smaller revision than what it wrote, and no greater one
 *      than what it read
 *   3. a read shows the state at the revision it was told; a transaction's outcome is right for the state it met
 *
 * Together that is strict serializability: revisions are the order. Reads at one member's own state (`serializable`) need only 3.
 */

/** A change as a request asks for it; `value` undefined deletes the key. Values are given once only. */
export interface Change {
  readonly key: string;
  readonly value: string | undefined;
}

export interface Pair {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}

export interface Operation {
  readonly kind: 'write' | 'read' | 'serializable' | 'cas' | 'revoke';
  /** ms */
  readonly began: number;
  /** Infinity while there is no answer that tells. */
  ended: number;
  /** `refused`: surely not done. `unknown`: done once or not at all. */
  outcome: 'ok' | 'refused' | 'unknown';
  /** Of the answer's header; 0 without one. */
  revision: number;
  /** Asked for; of a `revoke` the deletes that it may make, of a `cas` those of its success. */
  readonly changes: readonly Change[];
  /** `cas`: the key must have this mod revision. */
  readonly expects?: { readonly key: string; readonly modRevision: number };
  /** `cas`: which way it went. */
  succeeded?: boolean;
  /** Of one that only deletes, when its answer says so: whether there was anything to delete. */
  deleted?: boolean;
  /** Keys in [key, end) or the one key. */
  readonly range?: { readonly key: string; readonly end: string | undefined };
  pairs?: readonly Pair[];
}

/** All events of one revision, in order of keys in the response. */
export interface Revision {
  readonly revision: number;
  readonly events: readonly (Change & { readonly createRevision: number; readonly version: number })[];
}

const problemsMax = 20;

/**
 * @param operations  in order of `began`
 * @param log         every revision from 2 on
 * @param others      keys that are written by others than these operations
 * @returns what is wrong; empty when the history is accepted.
 */
export function check(
  operations: readonly Operation[],
  log: readonly Revision[],
  others: (key: string) => boolean = () => false,
): string[] {
  const problems: string[] = [];
  const fail = (text: string): void => {
    if (problems.length < problemsMax) problems.push(text);
  };
  const states = replay(log, fail);
  const byValue = new Map<string, number>();
  const eventsAt = new Map<number, Revision>();
  for (const r of log) {
    eventsAt.set(r.revision, r);
    for (const e of r.events) {
      if (e.value === undefined) continue;
      if (byValue.has(e.value)) fail(`the value ${e.value} was written at ${byValue.get(e.value)} and ${r.revision}`);
      byValue.set(e.value, r.revision);
    }
  }
  /** Revisions that some request accounts for. */
  const explained = new Set<number>();
  /** Where each write took place, also those without an answer. */
  const placed = new Map<Operation, number>();
  const unanswered: Operation[] = [];

  for (const o of operations) {
    const values = o.changes.flatMap((c) => (c.value === undefined ? [] : [c.value]));
    const found = new Set(values.map((v) => byValue.get(v)));
    const at = found.size === 1 ? [...found][0] : undefined;
    if (found.size > 1) fail(`${text(o)} was done in parts, at ${[...found].join(' and ')}`);
    const wanted = o.outcome === 'ok' && (o.kind !== 'cas' || o.succeeded === true);
    if (values.length > 0) {
      if (wanted && at !== o.revision)
        fail(`${text(o)} is not in the log at its revision, but ${at === undefined ? 'nowhere' : `at ${at}`}`);
      if (at !== undefined && (o.outcome === 'refused' || (o.outcome === 'ok' && !wanted)))
        fail(`${text(o)} was not done and is in the log at ${at}`);
      if (at !== undefined) {
        placed.set(o, at);
        explained.add(at);
        compare(o, eventsAt.get(at) as Revision, fail);
      }
    } else if (o.changes.length > 0) {
      if (o.outcome === 'unknown') unanswered.push(o);
      const there = eventsAt.get(o.revision)?.events.every((e) => e.value === undefined && o.changes.some((c) => c.key === e.key)) === true;
      if (o.outcome === 'ok' && (o.deleted ?? there)) {
        if (!there) fail(`${text(o)} is not in the log at its revision`);
        placed.set(o, o.revision);
        explained.add(o.revision);
      }
    }
    if (o.outcome !== 'ok') continue;
    if (o.expects !== undefined) {
      const before = states.at(o.expects.key, wanted ? o.revision - 1 : o.revision);
      if (((before?.modRevision ?? 0) === o.expects.modRevision) !== (o.succeeded === true))
        fail(
          `${text(o)} expected ${o.expects.key} of ${o.expects.modRevision}, met ${before?.modRevision ?? 0} and ${o.succeeded === true ? 'succeeded' : 'failed'}`,
        );
    }
    if (o.range !== undefined && o.pairs !== undefined) {
      const is = JSON.stringify(o.pairs);
      const should = JSON.stringify(states.range(o.range, o.revision));
      if (is !== should) fail(`${text(o)} read ${is} where there was ${should}`);
    }
  }

  // Deletes without an answer account for what is left: the earliest that fits, which has the least to keep to.
  for (const r of log) {
    if (explained.has(r.revision) || r.events.every((e) => others(e.key))) continue;
    const source = unanswered.find(
      (o) => !placed.has(o) && r.events.every((e) => e.value === undefined && o.changes.some((c) => c.key === e.key)),
    );
    if (source === undefined) fail(`nobody asked for revision ${r.revision}: ${JSON.stringify(r.events)}`);
    else placed.set(source, r.revision);
  }
  realTime(operations, placed, log.at(-1)?.revision ?? 1, fail);
  return problems;
}

const text = (o: Operation): string =>
  `the ${o.kind} of ${JSON.stringify(o.expects ?? o.range ?? o.changes[0]?.key)} (revision ${o.revision}, ${o.outcome}${o.changes[0]?.value === undefined ? '' : `, value ${o.changes[0].value}`})`;

/** A revision has the changes of its request and no other. A delete of a key that is not there leaves no event. */
function compare(o: Operation, at: Revision, fail: (text: string) => void): void {
  for (const e of at.events)
    if (!o.changes.some((c) => c.key === e.key && c.value === e.value)) fail(`${text(o)} did not ask for ${e.key} at ${at.revision}`);
  for (const c of o.changes)
    if (c.value !== undefined && !at.events.some((e) => e.key === c.key && e.value === c.value))
      fail(`${text(o)} lacks ${c.key} at ${at.revision}`);
}

function realTime(
  operations: readonly Operation[],
  placed: ReadonlyMap<Operation, number>,
  last: number,
  fail: (text: string) => void,
): void {
  interface Moment {
    readonly at: number;
    readonly end: boolean;
    readonly o: Operation;
  }
  const moments: Moment[] = [];
  for (const o of operations) {
    if (o.kind === 'serializable') continue;
    moments.push({ at: o.began, end: false, o });
    if (o.outcome === 'ok') moments.push({ at: o.ended, end: true, o });
  }
  // At the same instant a beginning comes first: then the two are taken as concurrent.
  moments.sort((a, b) => a.at - b.at || Number(a.end) - Number(b.end));
  let floor = 1;
  const floors = new Map<Operation, number>();
  for (const { end, o } of moments) {
    if (!end) {
      floors.set(o, floor);
      continue;
    }
    if (o.revision > last) fail(`${text(o)} has a revision that is not in the log, which ends at ${last}`);
    floor = Math.max(floor, o.revision);
  }
  for (const [o, before] of floors) {
    const at = placed.get(o);
    if (at !== undefined && at <= before) fail(`${text(o)} took place at ${at}, after ${before} had been told before it began`);
    if (at === undefined && o.outcome === 'ok' && o.revision < before) fail(`${text(o)} is stale: ${before} had been told before it began`);
  }
}

interface States {
  at(key: string, revision: number): Pair | undefined;
  range(range: { readonly key: string; readonly end: string | undefined }, revision: number): readonly Pair[];
}

function replay(log: readonly Revision[], fail: (text: string) => void): States {
  const keys = new Map<string, { readonly revision: number; readonly pair: Pair | undefined }[]>();
  let expected = 2;
  for (const { revision, events } of log) {
    if (revision !== expected) fail(`the log goes from ${expected - 1} to ${revision}`);
    expected = revision + 1;
    for (const e of events) {
      const list = keys.get(e.key) ?? [];
      keys.set(e.key, list);
      const before = list.at(-1)?.pair;
      let pair: Pair | undefined;
      if (e.value !== undefined) {
        pair = {
          key: e.key,
          value: e.value,
          createRevision: before?.createRevision ?? revision,
          modRevision: revision,
          version: (before?.version ?? 0) + 1,
        };
        if (pair.createRevision !== e.createRevision || pair.version !== e.version)
          fail(
            `the event of ${e.key} at ${revision} has create revision ${e.createRevision} and version ${e.version}, not ${pair.createRevision} and ${pair.version}`,
          );
      } else if (before === undefined) fail(`${revision} deletes ${e.key}, which was not there`);
      list.push({ revision, pair });
    }
  }
  const at = (key: string, revision: number): Pair | undefined => {
    const list = keys.get(key) ?? [];
    let lo = 0;
    let hi = list.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if ((list[mid]?.revision ?? 0) <= revision) lo = mid + 1;
      else hi = mid;
    }
    return list[lo - 1]?.pair;
  };
  const sorted = [...keys.keys()].sort();
  return {
    at,
    range: ({ key, end }, revision) => {
      const wanted = end === undefined ? [key] : sorted.filter((k) => k >= key && k < end);
      return wanted.flatMap((k) => at(k, revision) ?? []);
    },
  };
}
