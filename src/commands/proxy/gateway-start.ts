/** `gateway start`: from flags to a gateway that listens. */
import { createLog, openSink } from '../../host/log.ts';
import { onStopSignal } from '../../host/process.ts';
import { RealClock } from '../../host/real-clock.ts';
import { RealRandom } from '../../host/real-random.ts';
import { lookupHost } from '../../host/srv.ts';
import { TcpGateway, type GatewayTarget } from '../../server/proxy/tcp-gateway.ts';
import type { Invocation } from '../frame/invocation.ts';
import { stderr, stdout } from '../frame/output.ts';
import { discover } from './discover.ts';
import { listenText, neverEnds, notifyInit, splitHostPort } from '../frame/daemon.ts';

/** Without a period, members that were away are tried again after this long, as etcd has it. */
const retryMsWhenZero = 300_000;

/** Resolves with an exit code when it cannot start, else never. */
export async function startGateway({ flags }: Invocation): Promise<number> {
  const log = createLog({ level: 'info', format: 'json', sinks: [openSink('default')] });
  log.info('Running: ', { args: [process.argv[1] ?? 'etcd', ...process.argv.slice(2)] });
  const refuse = (text: string): number => {
    stdout(text);
    return 1;
  };
  let targets: GatewayTarget[];
  try {
    const found = await discover(
      {
        domain: flags.string('discovery-srv'),
        serviceName: flags.string('discovery-srv-name'),
        insecure: flags.bool('insecure-discovery'),
        caFile: flags.string('trusted-ca-file'),
      },
      log,
    );
    targets = found.map(({ record: { target, port, priority, weight } }) => ({ host: target, port, priority, weight }));
  } catch (error) {
    stderr(`${(error as Error).message}\n`);
    return 1;
  }
  if (targets.length === 0) {
    for (const endpoint of flags.strings('endpoints')) {
      const address = /^[a-z]+:\/\/([^/]+)/.exec(endpoint)?.[1] ?? endpoint;
      const parts = splitHostPort(address);
      if (parts === undefined) return refuse(`error parsing endpoint ${JSON.stringify(address)}`);
      targets.push({ ...parts, priority: 0, weight: 0 });
    }
  }
  const listenAddr = flags.string('listen-addr');
  const listen = splitHostPort(listenAddr);
  if (listen === undefined) return refuse(`failed to validate listen address: ${listenAddr}\n`);
  let listenHosts: string[];
  try {
    listenHosts = listen.host === '' ? [] : await lookupHost(listen.host);
  } catch {
    return refuse(`failed to resolve listen host: ${listen.host}\n`);
  }
  for (const { host, port } of targets) {
    let addresses: string[];
    try {
      addresses = await lookupHost(host);
    } catch {
      return refuse(`failed to resolve endpoint host: ${host}\n`);
    }
    const own = port === listen.port ? addresses.find((a) => listenHosts.includes(a)) : undefined;
    if (own !== undefined)
      return refuse(`SRV or endpoint (${host}:${port}->${own}:${port}) should not resolve to the gateway listen addr (${listenAddr})\n`);
  }
  if (targets.length === 0) return refuse('no endpoints found\n');
  const retryMs = flags.duration('retry-delay');
  const gateway = new TcpGateway({
    targets,
    retryMs: retryMs > 0 ? retryMs : retryMsWhenZero,
    clock: new RealClock(),
    random: new RealRandom(),
    log,
  });
  try {
    await gateway.listen(listen.host, listen.port);
  } catch (error) {
    stderr(`${listenText(error)}\n`);
    return 1;
  }
  onStopSignal(log, () => gateway.close());
  notifyInit(log);
  log.info('ready to proxy client requests', { endpoints: gateway.addresses });
  return neverEnds;
}
