/** Checks peer URLs with etcd's words, before anything is sent. */
import { CommandError, ExitCode } from '../frame/exit.ts';
import { quote } from '../text/quote.ts';

/** What Go's `url.Parse` has against a text; undefined when it takes it. */
function parseFault(text: string): string | undefined {
  if (/[\x00-\x1f\x7f]/.test(text)) return 'net/url: invalid control character in URL';
  const scheme = /^([^/?#]*?):/.exec(text)?.[1];
  if (scheme === '') return 'missing protocol scheme';
  if (scheme !== undefined && !/^[a-zA-Z][a-zA-Z0-9+.-]*$/.test(scheme)) return 'first path segment in URL cannot contain colon';
  const authority = /^[^:]*:\/\/([^/?#]*)/.exec(text)?.[1] ?? '';
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  const escape = /%(?![0-9a-fA-F]{2})..?|%$/.exec(text.replace(/\?.*$/, ''))?.[0];
  if (host.startsWith('[')) {
    const end = host.lastIndexOf(']');
    if (end < 0) return "missing ']' in host";
    if (!/^(:\d*)?$/.test(host.slice(end + 1))) return `invalid port ${quote(host.slice(end + 1))} after host`;
  } else {
    const colon = host.lastIndexOf(':');
    if (colon >= 0 && !/^:\d*$/.test(host.slice(colon))) return `invalid port ${quote(host.slice(colon))} after host`;
  }
  if (escape !== undefined) return `invalid URL escape ${quote(escape)}`;
  // Go takes these in a host only when they are part of its grammar.
  const odd = /[\s"<>\\^`{}|]/.exec(host)?.[0];
  return odd === undefined ? undefined : `invalid character ${quote(odd)} in host name`;
}

/** @throws CommandError for one that is no URL of a peer. */
export function checkPeerUrls(list: readonly string[]): string[] {
  const bad = (text: string): CommandError => new CommandError(ExitCode.Error, text);
  const urls = list.map((raw) => {
    const text = raw.trim();
    const fault = parseFault(text);
    if (fault !== undefined) throw bad(`parse ${quote(text)}: ${fault}`);
    const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/([^/?#]*)([^?#]*)/.exec(text);
    const scheme = match?.[1]?.toLowerCase() ?? '';
    if (!['http', 'https', 'unix', 'unixs'].includes(scheme)) throw bad(`URL scheme must be http, https, unix, or unixs: ${text}`);
    const host = match?.[2] ?? '';
    const path = match?.[3] ?? '';
    if (scheme.startsWith('http')) {
      if (!/:\d*$/.test(host)) throw bad(`URL address does not have the form "host:port": ${text}`);
      if (path !== '') throw bad(`URL must not contain a path: ${text}`);
    }
    return text;
  });
  return urls.sort();
}
