/** The storage quota at the door: a request that would take the store over it is refused before it is proposed, and the NOSPACE alarm goes up. */
import { AlarmRequest_AlarmAction, AlarmType } from '../../api/gen/etcdserverpb.ts';
import { errors, type Status } from '../../api/status.ts';
import { BackendQuota } from '../apply/quota.ts';
import type { MemberFacade } from '../consensus/facade.ts';

export class QuotaGuard {
  readonly #member: MemberFacade;
  readonly #quota: BackendQuota;

  constructor(member: MemberFacade) {
    this.#member = member;
    this.#quota = new BackendQuota(member.config.quotaBackendBytes, {
      // Asked for each time: a received snapshot puts another store in its place.
      get sizeBytes() {
        return member.backend.sizeBytes;
      },
    });
  }

  /** False when there is no room: the call is answered "database space exceeded" once the alarm is raised. */
  admits(call: { fail(status: Status): void }, costBytes: number): boolean {
    if (this.#quota.available(costBytes)) return true;
    this.#member.propose(
      { alarm: { memberID: this.#member.memberId, action: AlarmRequest_AlarmAction.ACTIVATE, alarm: AlarmType.NOSPACE } },
      undefined,
      { complete: () => call.fail(errors.noSpace) },
    );
    return false;
  }
}
