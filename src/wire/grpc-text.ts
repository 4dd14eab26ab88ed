/** The texts that gRPC puts into HTTP headers. Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md); refusals in grpc-go's words. */
import { Code, type Status } from '../api/status.ts';

const plain = /^[\x20-\x24\x26-\x7e]*$/;

/** Percent-encodes a status text: bytes outside printable ASCII, and `%` itself. */
export function encodeMessage(text: string): string {
  if (plain.test(text)) return text;
  let out = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) out += String.fromCharCode(byte);
    else out += `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
  }
  return out;
}

/** The reverse; broken escapes stay as they are. */
export function decodeMessage(text: string): string {
  if (!text.includes('%')) return text;
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const hex = text[i] === '%' ? text.slice(i + 1, i + 3) : '';
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else bytes.push(text.charCodeAt(i) & 255);
  }
  return Buffer.from(bytes).toString('utf8');
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a `grpc-timeout`, or what is wrong with it. */
export function parseTimeout(text: string): number | string {
  if (text.length < 2) return `transport: timeout string is too short: ${JSON.stringify(text)}`;
  if (text.length > 9) return `transport: timeout string is too long: ${JSON.stringify(text)}`;
  const unit = unitMs[text.slice(-1)];
  if (unit === undefined) return `transport: timeout unit is not recognized: ${JSON.stringify(text)}`;
  let value = 0;
  for (let i = 0; i < text.length - 1; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return `strconv.ParseUint: parsing ${JSON.stringify(text.slice(0, -1))}: invalid syntax`;
    value = value * 10 + digit;
  }
  return value * unit;
}

/** A `grpc-timeout` of at most eight digits, never shorter than asked. */
export function formatTimeout(ms: number): string {
  if (ms <= 0) return '0m';
  const whole = Math.ceil(ms);
  if (whole < 1e8) return `${whole}m`;
  const seconds = Math.ceil(whole / 1000);
  return seconds < 1e8 ? `${seconds}S` : `${Math.min(Math.ceil(seconds / 3600), 99_999_999)}H`;
}

/** The status of an HTTP answer that is not gRPC. Source: gRPC's http-grpc-status-mapping.md. */
export function codeOfHttpStatus(status: number): Code {
  switch (status) {
    case 400:
      return Code.Internal;
    case 401:
      return Code.Unauthenticated;
    case 403:
      return Code.PermissionDenied;
    case 404:
      return Code.Unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return Code.Unavailable;
    default:
      return Code.Unknown;
  }
}

/** Reads `grpc-status` and `grpc-message` of trailers. */
export function statusOf(code: string | undefined, message: string | undefined): Status | undefined {
  if (code === undefined) return undefined;
  const n = Number(code);
  const known = Number.isInteger(n) && n >= 0 && n <= 16 ? (n as Code) : Code.Unknown;
  return { code: known, message: message === undefined ? '' : decodeMessage(message) };
}
