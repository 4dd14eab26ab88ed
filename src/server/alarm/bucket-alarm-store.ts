/**
 * The raised alarms, in the bucket `alarm`.
 *
 * Key: `etcdserverpb.AlarmMember` bytes (1 memberID, 2 alarm); value: empty.
 */
import { AlarmMember as AlarmMemberCodec } from '../../api/gen/etcdserverpb.ts';
import { emptyBytes } from '../../base/bytes.ts';
import type { Backend } from '../storage/backend.ts';
import type { AlarmMember, AlarmStore } from './alarm-store.ts';

export class BucketAlarmStore implements AlarmStore {
  readonly #backend: Pick<Backend, 'put' | 'delete' | 'entries'>;
  /** Sorted by kind, then member. */
  #raised: AlarmMember[] = [];

  constructor(backend: Pick<Backend, 'put' | 'delete' | 'entries'>) {
    this.#backend = backend;
    this.restore();
  }

  activate(memberId: bigint, alarm: number): AlarmMember {
    const there = this.#find(memberId, alarm);
    if (there !== undefined) return there;
    const raised: AlarmMember = { memberId, alarm };
    this.#raised.push(raised);
    this.#raised.sort(alarmOrder);
    this.#backend.put('alarm', alarmKey(raised), emptyBytes);
    return raised;
  }

  deactivate(memberId: bigint, alarm: number): AlarmMember | undefined {
    const there = this.#find(memberId, alarm);
    if (there === undefined) return undefined;
    this.#raised = this.#raised.filter((a) => a !== there);
    this.#backend.delete('alarm', alarmKey(there));
    return there;
  }

  list(alarm: number): AlarmMember[] {
    return this.#raised.filter((a) => alarm === 0 || a.alarm === alarm);
  }

  isRaised(alarm: number): boolean {
    for (const a of this.#raised) if (a.alarm === alarm) return true;
    return false;
  }

  restore(): void {
    this.#raised = this.#backend
      .entries('alarm')
      .map(([key]) => AlarmMemberCodec.decode(key))
      .map((m) => ({ memberId: m.memberID, alarm: m.alarm }))
      .sort(alarmOrder);
  }

  #find(memberId: bigint, alarm: number): AlarmMember | undefined {
    return this.#raised.find((a) => a.memberId === memberId && a.alarm === alarm);
  }
}

function alarmKey(a: AlarmMember): Uint8Array {
  return AlarmMemberCodec.encode({ memberID: a.memberId, alarm: a.alarm });
}

function alarmOrder(a: AlarmMember, b: AlarmMember): number {
  return a.alarm - b.alarm || (a.memberId < b.memberId ? -1 : a.memberId > b.memberId ? 1 : 0);
}
