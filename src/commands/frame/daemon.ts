/** What the member, the gateway and the gRPC proxy share as processes that serve. */
import type { Log } from '../../base/log.ts';

/** Of a command that serves until a signal. */
export const neverEnds = new Promise<number>(() => {});

/** `host:port`, IPv6 in brackets; undefined when it is not of that form. */
export function splitHostPort(text: string): { readonly host: string; readonly port: number } | undefined {
  const m = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(m?.[3]);
  if (m === null || port > 65_535) return undefined;
  return { host: m[1] ?? m[2] ?? '', port };
}

/** As Go words it. */
export function listenText(error: unknown): string {
  const { code, address, port, message } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: 'bind: address already in use',
    EADDRNOTAVAIL: 'bind: cannot assign requested address',
    EACCES: 'bind: permission denied',
  };
  const known = words[code ?? ''];
  return known === undefined ? message : `listen tcp ${address ?? ''}:${port ?? ''}: ${known}`;
}

/** systemd's readiness protocol, through systemd's own tool: Node has no datagram sockets of its kind. */
export function notifyInit(log: Log, env: NodeJS.ProcessEnv = process.env): void {
  log.info('notifying init daemon');
  if ((env.NOTIFY_SOCKET ?? '') === '') {
    log.info('successfully notified init daemon');
    return;
  }
  void import('node:child_process').then(({ execFile }) => {
    execFile('systemd-notify', ['--ready', `--pid=${process.pid}`], { timeout: 5000 }, (error) => {
      if (error === null) log.info('successfully notified init daemon');
      else log.error('failed to notify systemd for readiness', { error });
    });
  });
}
