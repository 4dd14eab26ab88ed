/** Raised alarms, per member, in the `alarm` bucket. */
export interface AlarmMember {
  readonly memberId: bigint;
  /** 1 NOSPACE, 2 CORRUPT. */
  readonly alarm: number;
}

export interface AlarmStore {
  activate(memberId: bigint, alarm: number): AlarmMember;
  /** The alarm that was taken back, undefined when it was not raised. */
  deactivate(memberId: bigint, alarm: number): AlarmMember | undefined;
  /** 0 = all kinds. */
  list(alarm: number): AlarmMember[];
  isRaised(alarm: number): boolean;
  restore(): void;
}
