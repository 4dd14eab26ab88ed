/** Checks peer URLs with etcd's words, before anything is sent. */
import { CommandError, ExitCode } from '../frame/exit.ts';
import { quote } from '../text/quote.ts';

/** @throws CommandError for one that is no URL of a peer. */
export function checkPeerUrls(list: readonly string[]): string[] {
  const bad = (text: string): CommandError => new CommandError(ExitCode.Error, text);
  const seen = new Set<string>();
  for (const raw of list) {
    const text = raw.trim();
    const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/([^/?#]*)([^?#]*)/.exec(text);
    const scheme = match?.[1]?.toLowerCase() ?? '';
    if (!['http', 'https', 'unix', 'unixs'].includes(scheme)) throw bad(`URL scheme must be http, https, unix, or unixs: ${text}`);
    const host = match?.[2] ?? '';
    const path = match?.[3] ?? '';
    if (scheme.startsWith('http')) {
      if (!/:\d*$/.test(host)) throw bad(`URL address does not have the form "host:port": ${text}`);
      if (path !== '') throw bad(`URL must not contain a path: ${text}`);
    }
    if (seen.has(text)) throw bad(`duplicate advertise URL ${quote(text)}`);
    seen.add(text);
  }
  return [...seen].sort();
}
