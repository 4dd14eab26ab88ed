/** What a client is made with, and how endpoints are written. */
import type { Channel } from '../wire/channel.ts';
import type { ChannelOptions, ChannelTarget, ChannelTls } from '../wire/channel-options.ts';

export const policies = ['round-robin', 'random', 'least-pending'] as const;
export type Policy = (typeof policies)[number];

/** Opens a channel to one endpoint: the seam to `src/wire`. */
export type Connect = (endpoint: ChannelTarget, options: ChannelOptions) => Channel;

export interface ClientOptions {
  /** `host:port`, `http://…`, `https://…` or `unix://…`; at least one. */
  readonly endpoints: readonly string[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** A token got elsewhere (JWT); wins over username and password. */
  readonly token?: string | undefined;
  /** Given: TLS also for endpoints without a scheme. */
  readonly tls?: ChannelTls | undefined;
  /** Default 2 s, as etcdctl. */
  readonly connectTimeoutMs?: number | undefined;
  /** Applied to unary calls without a timeout of their own; default none. */
  readonly requestTimeoutMs?: number | undefined;
  /** Between pings while calls are open; no less than 10 s, whatever is given: servers close connections that are pinged too often. Default 0: none. */
  readonly keepaliveMs?: number | undefined;
  readonly keepaliveTimeoutMs?: number | undefined;
  /** Pings also while no call is open. */
  readonly keepaliveWithoutCalls?: boolean | undefined;
  /** An endpoint that refuses the connection is passed over at once, instead of being tried for `connectTimeoutMs`. */
  readonly failFast?: boolean | undefined;
  /** Default 2 MiB, as etcd's client. */
  readonly sendBytesMax?: number | undefined;
  /** Default 2^31 − 1. */
  readonly receiveBytesMax?: number | undefined;
  /** Metadata of every call, such as `hasleader: true`. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly connect?: Connect | undefined;
  /** How calls spread over the endpoints; default round-robin. `least-pending`: where the fewest of this client's calls are outstanding. */
  readonly balance?: Policy | undefined;
}

/** Reads one endpoint. @throws TypeError when it is empty. */
export function parseEndpoint(text: string, tls: boolean): ChannelTarget {
  const trimmed = text.trim();
  // A socket's path may also follow its scheme at once.
  const match = /^([a-z]+):\/\/(.*)$/.exec(trimmed) ?? /^(unixs?):(.+)$/.exec(trimmed);
  const scheme = match?.[1] ?? '';
  const rest = (match?.[2] ?? trimmed).replace(/\/+$/, '');
  if (rest === '') throw new TypeError(`bad endpoint "${text}"`);
  switch (scheme) {
    case '':
      return { text: trimmed, address: rest, secure: tls, unix: false };
    case 'http':
      return { text: trimmed, address: rest, secure: false, unix: false };
    case 'https':
      return { text: trimmed, address: rest, secure: true, unix: false };
    case 'unix':
      return { text: trimmed, address: rest, secure: false, unix: true };
    case 'unixs':
      return { text: trimmed, address: rest, secure: true, unix: true };
    default:
      // No scheme of ours: a name that nobody will be found under, as etcd's client has it. Such an endpoint is away, and the others serve.
      return { text: trimmed, address: trimmed, secure: tls, unix: false };
  }
}
