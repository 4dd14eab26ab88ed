/**
 * The package `tsetcd`: a client for etcd and tsetcd.
 *
 *   import { connect } from 'tsetcd';
 *   const client = connect({ endpoints: ['127.0.0.1:2379'] });
 *   await client.put('greeting', 'hello');
 *   for await (const batch of client.watch('greeting')) …
 */
import { connectGrpcJs } from '../wire/grpc-js-channel.ts';
import { Client } from './client.ts';
import type { ClientOptions } from './options.ts';

/** Makes a client; connections are opened when first used. */
export function connect(options: ClientOptions | string): Client {
  const o = typeof options === 'string' ? { endpoints: options.split(',') } : options;
  return new Client({ connect: connectGrpcJs, ...o });
}

export {
  Client,
  compare,
  op,
  Txn,
  type Bytes,
  type DeleteOptions,
  type GetOptions,
  type PutOptions,
  type Span,
  type WatchClientOptions,
} from './client.ts';
export { Election, Mutex, observe, Session, stm, type StmView, type WaitOptions } from './concurrency.ts';
export { EtcdError, LeaseExpiredError, WatchCanceledError } from './errors.ts';
export type { CallLayer } from './layer.ts';
export { withLeasing } from './leasing.ts';
export { Syncer, type SyncerOptions } from './mirror.ts';
export { withNamespace } from './namespace.ts';
export { OrderViolationError, withOrdering } from './ordering.ts';
export type { KeptLease } from './lease.ts';
export type { ClientOptions, Policy } from './options.ts';
export type { WatchBatch, Watcher } from './watch.ts';
export type { CallOptions } from '../wire/channel.ts';
export { Code, errors, RpcError, type ErrorName, type Status } from '../api/status.ts';
export * as rpc from '../api/gen/methods.ts';
export type { KeyValue, Event } from '../api/gen/mvccpb.ts';
export { prefixEnd, utf8Text } from '../base/bytes.ts';
