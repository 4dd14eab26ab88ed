/**
 * Header fields of HTTP/2 requests as they are decoded, for people who look for what a client really sends. Off, it costs one comparison a field that is
 * not known from before.
 */
export type HeaderTrace = (name: string, value: string, sensitive: boolean) => void;

let current: HeaderTrace | undefined;

/** For connections accepted from now on. */
export function setHeaderTrace(trace: HeaderTrace | undefined): void {
  current = trace;
}

export function headerTrace(): HeaderTrace | undefined {
  return current;
}

/** Whether `GODEBUG` asks for it, as it asks a Go program: `http2debug=2`, alone or in a list. */
export function wantsHeaderTrace(godebug: string | undefined): boolean {
  return (godebug ?? '').split(',').some((setting) => setting.trim() === 'http2debug=2');
}

/** A line in Go's words. `at` is ms since the epoch; the time of day is local, as in Go's log. */
export function headerTraceLine(at: number, name: string, value: string, sensitive: boolean): string {
  const d = new Date(at);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${d.getFullYear()}/${two(d.getMonth() + 1)}/${two(d.getDate())}`;
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  const field = `${JSON.stringify(name)} = ${JSON.stringify(value)}${sensitive ? ' (sensitive)' : ''}`;
  return `${day} ${time} http2: decoded hpack field header field ${field}\n`;
}
