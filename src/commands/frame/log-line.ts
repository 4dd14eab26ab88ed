/** One line of structured log for standard error, shaped as etcd's tools write it. */
export function logLine(
  level: 'debug' | 'info' | 'warn' | 'error' | 'fatal',
  msg: string,
  fields: Readonly<Record<string, unknown>> = {},
): string {
  const ts = new Date().toISOString().replace('Z', '000Z');
  return `${JSON.stringify({ level, ts, logger: 'etcd-client', msg, ...fields })}\n`;
}
