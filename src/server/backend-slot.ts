/**
 * The backend as replicated rooms other than mvcc hold it: always the one in use, also after a received snapshot has put another in its place.
 * Not for hot paths: mvcc and consensus hold the backend itself and are told of the change.
 */
import type { Backend, BucketName, ShowValue } from './storage/backend.ts';

export type SlottedBackend = Pick<
  Backend,
  'get' | 'put' | 'delete' | 'entries' | 'eachValue' | 'leaseKeys' | 'consistentIndex' | 'sizeBytes'
>;

export class BackendSlot implements SlottedBackend {
  current: Backend;

  constructor(backend: Backend) {
    this.current = backend;
  }

  get consistentIndex(): number {
    return this.current.consistentIndex;
  }
  get sizeBytes(): number {
    return this.current.sizeBytes;
  }
  get(bucket: BucketName, key: Uint8Array): Uint8Array | undefined {
    return this.current.get(bucket, key);
  }
  put(bucket: BucketName, key: Uint8Array, value: Uint8Array): void {
    this.current.put(bucket, key, value);
  }
  delete(bucket: BucketName, key: Uint8Array): void {
    this.current.delete(bucket, key);
  }
  entries(bucket: BucketName): [Uint8Array, Uint8Array][] {
    return this.current.entries(bucket);
  }
  eachValue(bucket: Exclude<BucketName, 'meta'>, start: () => void, show: ShowValue): void {
    this.current.eachValue(bucket, start, show);
  }
  leaseKeys(lease: bigint): Uint8Array[] {
    return this.current.leaseKeys(lease);
  }
}
