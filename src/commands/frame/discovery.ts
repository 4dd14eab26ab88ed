/** Endpoints from DNS SRV records: `_etcd-client-ssl._tcp.DOMAIN`, then `_etcd-client._tcp.DOMAIN`. */
import { discoverClients } from '../../host/srv.ts';
import { CommandError, ExitCode } from './exit.ts';

/** @throws CommandError when no record was found. */
export async function discoverEndpoints(domain: string, name: string, insecure: boolean): Promise<string[]> {
  let found: string[];
  try {
    found = (await discoverClients(domain, name)).map((e) => e.url);
  } catch (error) {
    throw new CommandError(ExitCode.Error, (error as Error).message);
  }
  return insecure ? found : found.filter((e) => e.startsWith('https://'));
}
