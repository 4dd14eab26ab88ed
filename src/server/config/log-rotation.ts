/** `--log-rotation-config-json`: when the log file is replaced by a new one, and what becomes of the old ones. */

import type { LogRotation } from '../../base/log.ts';

/** Megabytes when `maxsize` is 0 or absent. */
const megabytesDefault = 100;
const streams = new Set(['default', 'stderr', 'stdout']);

/** @throws an Error in etcd's words */
export function parseLogRotation(outputs: readonly string[], text: string): LogRotation {
  const files = outputs.filter((o) => !streams.has(o)).length;
  if (files > 1 || (files === 0 && outputs.length === 1))
    throw new Error('--log-outputs requires a single file path when --log-rotate-config-json is defined');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`improperly formatted log rotation config: ${syntaxWords(text)}`);
  }
  if (value === null) value = {};
  if (typeof value !== 'object' || Array.isArray(value)) throw mismatch(value, 'value', 'embed.logRotationConfig');
  const fields = new Map(Object.entries(value as Record<string, unknown>).map(([k, v]) => [k.toLowerCase(), v]));
  const number = (name: string): number => {
    const v = fields.get(name) ?? 0;
    if (typeof v !== 'number') throw mismatch(v, name, 'int');
    if (!Number.isSafeInteger(v)) throw mismatch(v, name, 'int', `number ${v}`);
    return v;
  };
  const bool = (name: string): boolean => {
    const v = fields.get(name) ?? false;
    if (typeof v !== 'boolean') throw mismatch(v, name, 'bool');
    return v;
  };
  const filename = fields.get('filename');
  if (filename !== undefined && filename !== null && typeof filename !== 'string') throw mismatch(filename, 'filename', 'string');
  return {
    bytesMax: (number('maxsize') || megabytesDefault) * 1024 * 1024,
    daysMax: number('maxage'),
    filesMax: number('maxbackups'),
    localTime: bool('localtime'),
    compress: bool('compress'),
  };
}

function mismatch(value: unknown, field: string, type: string, shown?: string): Error {
  const kind = Array.isArray(value)
    ? 'array'
    : value === null || typeof value === 'object'
      ? 'object'
      : typeof value === 'boolean'
        ? 'bool'
        : typeof value;
  const into = field === 'value' ? `Go value of type ${type}` : `Go struct field logRotationConfig.Logger.${field} of type ${type}`;
  return new Error(`invalid log rotation config: json: cannot unmarshal ${shown ?? kind} into ${into}`);
}

/** Go's words for the first thing that is wrong. */
function syntaxWords(text: string): string {
  const trimmed = text.trimStart();
  if (trimmed === '') return 'unexpected end of JSON input';
  const first = trimmed[0] ?? '';
  if (!/[{["\-0-9tfn]/.test(first)) return `invalid character '${first}' looking for beginning of value`;
  return 'unexpected end of JSON input';
}
