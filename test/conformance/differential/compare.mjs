// What two answers have in common: ids become marks, times may differ by a little.

const idFields = new Set(['cluster_id', 'member_id', 'leader', 'memberID']);
/** Seconds left: measured at two moments. */
const secondFields = new Set(['TTL']);
const secondsOff = 3;

/** Ids in a form that can be compared: whether they are set, and for others which of those seen before. */
export class Normaliser {
  #names = new Map();
  /** Values of this server that stand for something random: addresses, ids. */
  constructor(names = {}) {
    for (const [value, name] of Object.entries(names)) this.#names.set(value, name);
  }

  learn(value, name) {
    this.#names.set(String(value), name);
  }

  of(value, key = '') {
    if (Array.isArray(value)) return value.map((v) => this.of(v, key));
    if (value !== null && typeof value === 'object') {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, this.of(v, k)]));
    }
    if (idFields.has(key)) return this.#names.get(String(value)) ?? 'an id';
    if (typeof value === 'string') {
      let text = this.#names.get(value) ?? value;
      for (const [from, to] of this.#names) if (from.length > 6) text = text.replaceAll(from, to);
      return text;
    }
    return value;
  }
}

/** The path at which two normalised values differ, with both sides; undefined when they are alike. */
export function difference(a, b, path = '') {
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.max(a.length, b.length); i++) {
      const d = difference(a[i], b[i], `${path}[${i}]`);
      if (d !== undefined) return d;
    }
    return undefined;
  }
  if (a !== null && b !== null && typeof a === 'object' && typeof b === 'object') {
    for (const k of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const near = secondFields.has(k) && a[k] !== undefined && b[k] !== undefined && Math.abs(Number(a[k]) - Number(b[k])) <= secondsOff;
      if (near && Number(a[k]) > 0) continue;
      const d = difference(a[k], b[k], `${path}.${k}`);
      if (d !== undefined) return d;
    }
    return undefined;
  }
  return a === b ? undefined : { path, reference: a, ours: b };
}
