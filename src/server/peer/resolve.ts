/**
 * Names of peers without libuv's thread pool: `dns.lookup` shares it with every file operation, and a few name servers that do not answer would hold
 * all of them. Literal addresses need no look-up (Node sees to that); other names come from the hosts file, then from DNS by c-ares.
 */
import { Resolver } from 'node:dns';
import { readFileSync } from 'node:fs';
import { isIP, type LookupFunction } from 'node:net';

/** Time for one name server's answer, and how often it is asked: the dial as a whole has 2 s. */
const dnsTimeoutMs = 700;
const dnsTries = 2;
/** An answer is used this long: peers dial ten times a second while a member is down. */
const cachedMs = 5000;
/** Names kept. A cluster has as many as members. */
const cachedMax = 256;

interface Found {
  readonly addresses: readonly string[];
  readonly untilMs: number;
}

/** A `lookup` for `net.connect` and `http.request`. */
export function peerLookup(nowMs: () => number, hostsFile = '/etc/hosts'): LookupFunction {
  const resolver = new Resolver({ timeout: dnsTimeoutMs, tries: dnsTries });
  const cache = new Map<string, Found>();
  return (name, options, callback) => {
    const answer = (addresses: readonly string[]): void => {
      const usable = addresses.filter((a) => (options.family !== 4 && options.family !== 6 ? true : isIP(a) === options.family));
      const first = usable[0];
      if (first === undefined) {
        callback(Object.assign(new Error(`lookup ${name}: no such host`), { code: 'ENOTFOUND' }), '', 0);
      } else if (options.all === true) {
        (callback as unknown as (error: null, all: { address: string; family: number }[]) => void)(
          null,
          usable.map((address) => ({ address, family: isIP(address) })),
        );
      } else callback(null, first, isIP(first));
    };
    const cached = cache.get(name);
    if (cached !== undefined && cached.untilMs > nowMs()) return answer(cached.addresses);
    const found = (addresses: readonly string[]): void => {
      if (cache.size >= cachedMax) cache.clear();
      if (addresses.length > 0) cache.set(name, { addresses, untilMs: nowMs() + cachedMs });
      answer(addresses);
    };
    const listed = fromHosts(hostsFile, name);
    if (listed.length > 0) return found(listed);
    resolver.resolve4(name, (_error, four) => {
      if (four !== undefined && four.length > 0) return found(four);
      resolver.resolve6(name, (_failed, six) => found(six ?? []));
    });
  };
}

/** IPv4 first, as the resolver does for a peer that listens on both. */
function fromHosts(path: string, name: string): string[] {
  const wanted = name.toLowerCase();
  const out: string[] = [];
  try {
    for (const line of readFileSync(path, 'latin1').split('\n')) {
      const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
      if (isIP(address) !== 0 && names.some((n) => n.toLowerCase() === wanted)) out.push(address);
    }
  } catch {
    // Systems without the file have DNS.
  }
  if (out.length === 0 && wanted === 'localhost') return ['127.0.0.1', '::1'];
  return out.sort((a, b) => isIP(a) - isIP(b));
}
