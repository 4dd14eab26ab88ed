/** Numbers, truth values and durations as the flags of etcd's tools read and print them. The error texts are part of the interface. */

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;

/** A text that is no number. */
export class NumberError extends Error {}

function fail(fn: string, text: string, why: 'invalid syntax' | 'value out of range'): never {
  throw new NumberError(`strconv.${fn}: parsing ${JSON.stringify(text)}: ${why}`);
}

/** Digits of the base, `_` between them when the base was given by a prefix. */
function magnitude(text: string, base: number): bigint | undefined {
  let digits = text;
  let radix = base;
  if (base === 0) {
    radix = 10;
    const prefix = /^0([xXbBoO])/.exec(text)?.[1]?.toLowerCase();
    if (prefix !== undefined) {
      radix = prefix === 'x' ? 16 : prefix === 'b' ? 2 : 8;
      digits = text.slice(2);
    } else if (text.length > 1 && text.startsWith('0')) {
      radix = 8;
      digits = text.slice(1);
    }
    if (digits.includes('_')) {
      if (!/^_?[0-9a-fA-F]+(_[0-9a-fA-F]+)*$/.test(digits)) return undefined;
      digits = digits.replaceAll('_', '');
    }
  }
  const allowed = radix === 16 ? /^[0-9a-fA-F]+$/ : radix === 10 ? /^[0-9]+$/ : radix === 8 ? /^[0-7]+$/ : /^[01]+$/;
  if (!allowed.test(digits)) return undefined;
  return BigInt(radix === 10 ? digits : (radix === 16 ? '0x' : radix === 8 ? '0o' : '0b') + digits);
}

/** @throws NumberError */
export function parseInt64(text: string, base = 0): bigint {
  const sign = /^[+-]/.exec(text)?.[0] ?? '';
  const value = magnitude(text.slice(sign.length), base);
  if (value === undefined) fail('ParseInt', text, 'invalid syntax');
  const signed = sign === '-' ? -value : value;
  if (signed < int64Min || signed > int64Max) fail('ParseInt', text, 'value out of range');
  return signed;
}

/** @throws NumberError */
export function parseUint64(text: string, base = 0): bigint {
  const value = magnitude(text, base);
  if (value === undefined) fail('ParseUint', text, 'invalid syntax');
  if (value > uint64Max) fail('ParseUint', text, 'value out of range');
  return value;
}

/** @throws NumberError */
export function parseBool(text: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  return fail('ParseBool', text, 'invalid syntax');
}

/** A counter as a JavaScript number; what lies beyond the safe range saturates, as on the wire. */
export function counter(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

const unitNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Milliseconds of `1h2m3.5s` and the like. @throws NumberError */
export function parseDuration(text: string): number {
  const quoted = JSON.stringify(text);
  let rest = text;
  let sign = 1;
  if (/^[+-]/.test(rest)) {
    if (rest.startsWith('-')) sign = -1;
    rest = rest.slice(1);
  }
  if (rest === '0') return 0;
  if (rest === '') throw new NumberError(`time: invalid duration ${quoted}`);
  let ns = 0;
  while (rest !== '') {
    const number = /^(\d+(?:\.\d*)?|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) throw new NumberError(`time: invalid duration ${quoted}`);
    rest = rest.slice(number.length);
    const unit = /^[^0-9.]+/.exec(rest)?.[0];
    if (unit === undefined) throw new NumberError(`time: missing unit in duration ${quoted}`);
    rest = rest.slice(unit.length);
    const scale = unitNs[unit];
    if (scale === undefined) throw new NumberError(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`);
    ns += Number(number) * scale;
  }
  if (ns > 9.223372036854775e18) throw new NumberError(`time: invalid duration ${quoted}`);
  return (sign * ns) / 1e6;
}

/** Milliseconds as etcd's tools print a duration: `1.5s`, `912.345µs`, `2m3s`. */
export function formatDuration(ms: number): string {
  const ns = BigInt(Math.round(ms * 1e6));
  if (ns === 0n) return '0s';
  if (ns < 0n) return `-${formatDuration(-ms)}`;
  const fraction = (value: bigint, scale: bigint): string => {
    const digits = String(value % scale)
      .padStart(String(scale).length - 1, '0')
      .replace(/0+$/, '');
    return `${value / scale}${digits === '' ? '' : `.${digits}`}`;
  };
  if (ns < 1000n) return `${ns}ns`;
  if (ns < 1_000_000n) return `${fraction(ns, 1000n)}µs`;
  if (ns < 1_000_000_000n) return `${fraction(ns, 1_000_000n)}ms`;
  const minutes = ns / 60_000_000_000n;
  const seconds = `${fraction(ns % 60_000_000_000n, 1_000_000_000n)}s`;
  if (minutes === 0n) return seconds;
  return minutes < 60n ? `${minutes}m${seconds}` : `${minutes / 60n}h${minutes % 60n}m${seconds}`;
}
