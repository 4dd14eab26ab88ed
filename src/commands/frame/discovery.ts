/** Endpoints from DNS SRV records: `_etcd-client-ssl._tcp.DOMAIN`, then `_etcd-client._tcp.DOMAIN`. */
import { Resolver } from 'node:dns/promises';
import { CommandError, ExitCode } from './exit.ts';

/** Longest wait for one DNS answer. */
const lookupTimeoutMs = 5000;

/** @throws CommandError when no record was found. */
export async function discoverEndpoints(domain: string, name: string, insecure: boolean): Promise<string[]> {
  const resolver = new Resolver({ timeout: lookupTimeoutMs, tries: 1 });
  const suffix = name === '' ? '' : `-${name}`;
  const services = [
    { scheme: 'https', service: `_etcd-client-ssl${suffix}._tcp.${domain}` },
    { scheme: 'http', service: `_etcd-client${suffix}._tcp.${domain}` },
  ];
  const out: string[] = [];
  let why: unknown;
  for (const { scheme, service } of services) {
    try {
      for (const r of await resolver.resolveSrv(service)) out.push(`${scheme}://${r.name.replace(/\.$/, '')}:${r.port}`);
    } catch (error) {
      why = error;
    }
  }
  if (out.length === 0) throw new CommandError(ExitCode.Error, (why as Error | undefined)?.message ?? `no SRV records for ${domain}`);
  return insecure ? out : out.filter((e) => e.startsWith('https://'));
}
