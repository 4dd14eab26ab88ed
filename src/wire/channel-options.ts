/** What a client channel is opened with. The client library's own option types have the same shape. */
import { basename } from 'node:path';
import { Code, errors, type Status } from '../api/status.ts';

export interface ChannelTarget {
  /** As the user wrote it. */
  readonly text: string;
  /** `host:port` or a socket path. */
  readonly address: string;
  readonly secure: boolean;
  readonly unix: boolean;
}

export interface ChannelTls {
  /** PEM. The system's roots when absent. */
  readonly ca?: Uint8Array | undefined;
  /** PEM, both or none. */
  readonly cert?: Uint8Array | undefined;
  readonly key?: Uint8Array | undefined;
  readonly insecureSkipVerify?: boolean | undefined;
  /** Name to verify instead of the target's host. */
  readonly serverName?: string | undefined;
}

export interface ChannelOptions {
  readonly tls: ChannelTls | undefined;
  /** Longest wait for a first connection. */
  readonly connectTimeoutMs: number;
  /** Milliseconds between pings while calls are open, no less than 10 s; 0 = no pings. */
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Pings also while no call is open. */
  readonly keepaliveWithoutCalls?: boolean | undefined;
  /** A connection that is refused is tried once and not again until `connectTimeoutMs`: there are other endpoints. */
  readonly failFast?: boolean | undefined;
  readonly sendBytesMax: number;
  readonly receiveBytesMax: number;
}

/**
 * Least time between pings, whatever a caller asks for: grpc-go's, and so etcdctl's with its `--keepalive-time=2s`. A server closes the connection of
 * a client that pings more often than it allows (every 5 s, with etcd) while a call is quiet: a watch, a lock, a long defragmentation.
 */
const keepaliveMinMs = 10_000;
/** Most that a timer of Node takes. */
const timerMsMax = 2 ** 31 - 1;

export function pingPeriodMs(askedMs: number): number {
  return Math.min(Math.max(askedMs, keepaliveMinMs), timerMsMax);
}

export function pingTimeoutMs(askedMs: number): number {
  return Math.min(askedMs, timerMsMax);
}

/** `host` and `port` of a target that is not a unix socket; IPv6 in brackets or not. */
export function hostPort(address: string): { readonly host: string; readonly port: number } {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(address);
  if (bracketed !== null) return { host: bracketed[1] ?? '', port: Number(bracketed[2] ?? 2379) };
  const cut = address.lastIndexOf(':');
  if (cut < 0 || address.indexOf(':') !== cut) return { host: address, port: 2379 };
  return { host: address.slice(0, cut), port: Number(address.slice(cut + 1)) };
}

/** What calls name as `:authority`, as etcd's client: the address; of a socket, the last part of its path. */
export function authorityOf(target: ChannelTarget): string {
  return target.unix ? basename(target.address).replace(/[^!-~]+/g, encodeURIComponent) : target.address;
}

/** The name that a server's certificate is checked against, if no other is given. A socket may carry one: `…/name:port`. */
export function verifiedName(target: ChannelTarget): string {
  if (!target.unix) return hostPort(target.address).host;
  const name = basename(target.address);
  return name.includes(':') ? hostPort(name).host : 'localhost';
}

/** What the caller's own doing leads to: grpc-go's texts. */
export const canceledStatus: Status = errors.contextCanceled;
export const deadlineStatus: Status = errors.contextDeadlineExceeded;
export const closedStatus: Status = { code: Code.Canceled, message: 'grpc: the client connection is closing' };

export const drainingStatus: Status = { code: Code.Unavailable, message: 'the connection is draining' };

export function sendTooLarge(bytes: number, bytesMax: number): Status {
  return { code: Code.ResourceExhausted, message: `trying to send message larger than max (${bytes} vs. ${bytesMax})` };
}

export function receiveTooLarge(bytes: number, bytesMax: number): Status {
  return { code: Code.ResourceExhausted, message: `grpc: received message larger than max (${bytes} vs. ${bytesMax})` };
}

export function unreachable(reason: string): Status {
  return { code: Code.Unavailable, message: `connection error: desc = "transport: Error while dialing: ${reason}"` };
}

export function undecodable(reason: string): Status {
  return { code: Code.Internal, message: `grpc: failed to unmarshal the received message: ${reason}` };
}
