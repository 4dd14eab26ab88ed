// Comparison of a recorded answer with an observed one.
import { isObject, type Json, type Variables } from './corpus.ts';

const show = (v: Json | undefined): string => {
  const s = v === undefined ? '(absent)' : JSON.stringify(v);
  return s.length > 400 ? `${s.slice(0, 400)}…` : s;
};

/**
 * The first difference, or undefined. Markers: see FORMAT.md.
 * @param elapsedSeconds  how long the scenario has run: on a slow machine a remaining TTL may have fallen by that much more than recorded.
 */
export function difference(
  expected: Json,
  actual: Json | undefined,
  variables: Variables,
  elapsedSeconds: number,
  path = '',
): string | undefined {
  const at = path === '' ? '(top)' : path;
  if (typeof expected === 'string') {
    if (expected === '*?') return undefined;
    if (expected === '*') return actual === undefined ? `${at}: expected a value, got none` : undefined;
    if (/^~-?\d+$/.test(expected)) {
      const above = Number(actual ?? 0) - Number(expected.slice(1));
      return above <= 1 && above >= -1 - elapsedSeconds ? undefined : `${at}: expected ${expected}, got ${show(actual)}`;
    }
    if (expected.length > 1 && expected.startsWith('$')) {
      if (actual === undefined) return `${at}: expected ${expected}, got none`;
      const bound = variables.get(expected.slice(1));
      if (bound === undefined) {
        variables.set(expected.slice(1), actual);
        return undefined;
      }
      return JSON.stringify(bound) === JSON.stringify(actual)
        ? undefined
        : `${at}: expected ${expected} = ${show(bound)}, got ${show(actual)}`;
    }
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) return `${at}: expected a list of ${expected.length}, got ${show(actual)}`;
    for (let i = 0; i < Math.min(expected.length, actual.length); i++) {
      const d = difference(expected[i] as Json, actual[i], variables, elapsedSeconds, `${path}[${i}]`);
      if (d !== undefined) return d;
    }
    return expected.length === actual.length
      ? undefined
      : `${at}: expected ${expected.length} items, got ${actual.length}: ${show(actual)}`;
  }
  if (isObject(expected)) {
    if (!isObject(actual)) return `${at}: expected ${show(expected)}, got ${show(actual)}`;
    const inner = (k: string): string => (path === '' ? k : `${path}.${k}`);
    for (const [k, v] of Object.entries(expected)) {
      const d = difference(v, actual[k], variables, elapsedSeconds, inner(k));
      if (d !== undefined) return d;
    }
    for (const k of Object.keys(actual)) if (!(k in expected)) return `${inner(k)}: unexpected value ${show(actual[k])}`;
    return undefined;
  }
  return expected === actual ? undefined : `${at}: expected ${show(expected)}, got ${show(actual)}`;
}

export function valueAt(v: Json, path: string): Json | undefined {
  let at: Json | undefined = v;
  for (const k of path.split('.')) at = Array.isArray(at) ? at[Number(k)] : isObject(at) ? at[k] : undefined;
  return at;
}
