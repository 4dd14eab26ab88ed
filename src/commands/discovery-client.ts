/** The client of a discovery registry, as the member's `--discovery-*` flags describe it. */
import type { ClientOptions } from '../client/options.ts';
import { BootstrapError } from '../server/bootstrap/bootstrap.ts';
import type { TokenDiscovery } from '../server/config/config.ts';
import { connectHttp2 } from '../wire/http2-channel.ts';
import { makeTls, splitUser } from './frame/client-options.ts';
import { CommandError } from './frame/exit.ts';

/** @throws BootstrapError for files that cannot be used */
export async function discoveryClient(discovery: TokenDiscovery): Promise<ClientOptions> {
  try {
    const tls = makeTls({
      cert: discovery.certFile,
      key: discovery.keyFile,
      ca: discovery.caFile,
      insecureSkipVerify: discovery.insecureSkipVerify,
      insecureTransport: discovery.insecureTransport,
    });
    const login = discovery.user === '' ? {} : await splitUser(discovery.user, discovery.password);
    return {
      endpoints: discovery.endpoints,
      ...login,
      tls,
      connect: connectHttp2,
      connectTimeoutMs: Math.max(1, discovery.dialTimeoutMs),
      keepaliveMs: discovery.keepaliveMs,
      keepaliveTimeoutMs: discovery.keepaliveTimeoutMs,
    };
  } catch (error) {
    if (error instanceof CommandError) throw new BootstrapError(error.message);
    throw error;
  }
}
