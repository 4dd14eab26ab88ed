/**
 * gRPC status codes and etcd's error table: the one place where etcd's error texts live.
 * Source: etcd 3.7.1 `api/v3rpc/rpctypes`, as listed by name, code and text.
 */

export const Code = {
  OK: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;
export type Code = (typeof Code)[keyof typeof Code];

/** The outcome of a call: gRPC code and text. */
export interface Status {
  readonly code: Code;
  readonly message: string;
}

/** A status as an error: what the client library throws, and what a server room throws to have a call answered so. */
export class RpcError extends Error {
  readonly code: Code;
  /** Client side: the request surely never left this process (no connection could be made), so that even a write may be tried elsewhere. */
  readonly unsent: boolean;

  constructor(status: Status, options?: ErrorOptions & { readonly unsent?: boolean }) {
    super(status.message, options);
    this.name = 'RpcError';
    this.code = status.code;
    this.unsent = options?.unsent ?? false;
  }

  get status(): Status {
    return { code: this.code, message: this.message };
  }
}

const entry = (code: Code, message: string): Status => Object.freeze({ code, message });

/** etcd's errors by the name of etcd's own table, without the prefix `ErrGRPC`. Compare by identity on the server, by code and text on the client. */
export const errors = {
  emptyKey: entry(Code.InvalidArgument, 'etcdserver: key is not provided'),
  keyNotFound: entry(Code.InvalidArgument, 'etcdserver: key not found'),
  valueProvided: entry(Code.InvalidArgument, 'etcdserver: value is provided'),
  leaseProvided: entry(Code.InvalidArgument, 'etcdserver: lease is provided'),
  tooManyOps: entry(Code.InvalidArgument, 'etcdserver: too many operations in txn request'),
  duplicateKey: entry(Code.InvalidArgument, 'etcdserver: duplicate key given in txn request'),
  invalidClientAPIVersion: entry(Code.InvalidArgument, 'etcdserver: invalid client api version'),
  invalidSortOption: entry(Code.InvalidArgument, 'etcdserver: invalid sort option'),
  compacted: entry(Code.OutOfRange, 'etcdserver: mvcc: required revision has been compacted'),
  futureRev: entry(Code.OutOfRange, 'etcdserver: mvcc: required revision is a future revision'),
  noSpace: entry(Code.ResourceExhausted, 'etcdserver: mvcc: database space exceeded'),
  leaseNotFound: entry(Code.NotFound, 'etcdserver: requested lease not found'),
  leaseExist: entry(Code.FailedPrecondition, 'etcdserver: lease already exists'),
  leaseTTLTooLarge: entry(Code.OutOfRange, 'etcdserver: too large lease TTL'),
  watchCanceled: entry(Code.Canceled, 'etcdserver: watch canceled'),
  memberExist: entry(Code.FailedPrecondition, 'etcdserver: member ID already exist'),
  peerURLExist: entry(Code.FailedPrecondition, 'etcdserver: Peer URLs already exists'),
  memberNotEnoughStarted: entry(Code.FailedPrecondition, 'etcdserver: re-configuration failed due to not enough started members'),
  memberBadURLs: entry(Code.InvalidArgument, 'etcdserver: given member URLs are invalid'),
  memberNotFound: entry(Code.NotFound, 'etcdserver: member not found'),
  memberNotLearner: entry(Code.FailedPrecondition, 'etcdserver: can only promote a learner member'),
  learnerNotReady: entry(Code.FailedPrecondition, 'etcdserver: can only promote a learner member which is in sync with leader'),
  tooManyLearners: entry(Code.FailedPrecondition, 'etcdserver: too many learner members in cluster'),
  clusterIDMismatch: entry(Code.FailedPrecondition, 'etcdserver: cluster ID mismatch'),
  requestTooLarge: entry(Code.InvalidArgument, 'etcdserver: request is too large'),
  requestTooManyRequests: entry(Code.ResourceExhausted, 'etcdserver: too many requests'),
  rootUserNotExist: entry(Code.FailedPrecondition, 'etcdserver: root user does not exist'),
  rootRoleNotExist: entry(Code.FailedPrecondition, 'etcdserver: root user does not have root role'),
  userAlreadyExist: entry(Code.FailedPrecondition, 'etcdserver: user name already exists'),
  userEmpty: entry(Code.InvalidArgument, 'etcdserver: user name is empty'),
  userNotFound: entry(Code.FailedPrecondition, 'etcdserver: user name not found'),
  roleAlreadyExist: entry(Code.FailedPrecondition, 'etcdserver: role name already exists'),
  roleNotFound: entry(Code.FailedPrecondition, 'etcdserver: role name not found'),
  roleEmpty: entry(Code.InvalidArgument, 'etcdserver: role name is empty'),
  authFailed: entry(Code.InvalidArgument, 'etcdserver: authentication failed, invalid user ID or password'),
  permissionNotGiven: entry(Code.InvalidArgument, 'etcdserver: permission not given'),
  permissionDenied: entry(Code.PermissionDenied, 'etcdserver: permission denied'),
  roleNotGranted: entry(Code.FailedPrecondition, 'etcdserver: role is not granted to the user'),
  permissionNotGranted: entry(Code.FailedPrecondition, 'etcdserver: permission is not granted to the role'),
  authNotEnabled: entry(Code.FailedPrecondition, 'etcdserver: authentication is not enabled'),
  invalidAuthToken: entry(Code.Unauthenticated, 'etcdserver: invalid auth token'),
  invalidAuthMgmt: entry(Code.InvalidArgument, 'etcdserver: invalid auth management'),
  authOldRevision: entry(Code.InvalidArgument, 'etcdserver: revision of auth store is old'),
  noLeader: entry(Code.Unavailable, 'etcdserver: no leader'),
  notLeader: entry(Code.FailedPrecondition, 'etcdserver: not leader'),
  leaderChanged: entry(Code.Unavailable, 'etcdserver: leader changed'),
  notCapable: entry(Code.FailedPrecondition, 'etcdserver: not capable'),
  stopped: entry(Code.Unavailable, 'etcdserver: server stopped'),
  timeout: entry(Code.Unavailable, 'etcdserver: request timed out'),
  timeoutDueToLeaderFail: entry(Code.Unavailable, 'etcdserver: request timed out, possibly due to previous leader failure'),
  timeoutDueToConnectionLost: entry(Code.Unavailable, 'etcdserver: request timed out, possibly due to connection lost'),
  timeoutWaitAppliedIndex: entry(Code.Unavailable, 'etcdserver: request timed out, waiting for the applied index took too long'),
  unhealthy: entry(Code.Unavailable, 'etcdserver: unhealthy cluster'),
  corrupt: entry(Code.DataLoss, 'etcdserver: corrupt cluster'),
  notSupportedForLearner: entry(Code.FailedPrecondition, 'etcdserver: rpc not supported for learner'),
  badLeaderTransferee: entry(Code.FailedPrecondition, 'etcdserver: bad leader transferee'),
  wrongDowngradeVersionFormat: entry(Code.InvalidArgument, 'etcdserver: wrong downgrade target version format'),
  invalidDowngradeTargetVersion: entry(Code.InvalidArgument, 'etcdserver: invalid downgrade target version'),
  clusterVersionUnavailable: entry(Code.FailedPrecondition, 'etcdserver: cluster version not found during downgrade'),
  downgradeInProcess: entry(Code.FailedPrecondition, 'etcdserver: cluster has a downgrade job in progress'),
  noInflightDowngrade: entry(Code.FailedPrecondition, 'etcdserver: no inflight downgrade job'),
  canceled: entry(Code.Canceled, 'etcdserver: request canceled'),
  deadlineExceeded: entry(Code.DeadlineExceeded, 'etcdserver: context deadline exceeded'),
  // These leave the server as Unknown, since etcd has no status for them; clients match the text.
  noPasswordUser: entry(Code.Unknown, 'auth: authentication failed, password was given for no password user'),
  timeoutLeaderTransfer: entry(Code.Unknown, 'etcdserver: request timed out, leader transfer took too long'),
  memberNotEnoughStartedUnknown: entry(Code.Unknown, 'etcdserver: re-configuration failed due to not enough started members'),
  tooManyRequestsUnknown: entry(Code.Unknown, 'etcdserver: too many requests'),
  unknownMethod: entry(Code.Unknown, 'etcdserver: unknown method'),
  sessionExpired: entry(Code.Unknown, 'mutex: session is expired'),
  electionNoLeader: entry(Code.Unknown, 'election: no leader'),
  electionNotLeader: entry(Code.Unknown, 'election: not leader'),
  electionLeaderMissing: entry(Code.Unknown, '"leader" field must be provided'),
  // No etcd has these: such a request ends the process of a real one.
  unknownAlarmAction: entry(Code.InvalidArgument, 'etcdserver: unknown alarm action'),
  unknownAlarmType: entry(Code.InvalidArgument, 'etcdserver: unknown alarm type'),
  rangeStreamSort: entry(Code.Unimplemented, 'RangeStream does not support custom sort orders'),
  rangeStreamFilter: entry(Code.Unimplemented, 'RangeStream does not support revision filters'),
  contextDeadlineExceeded: entry(Code.DeadlineExceeded, 'context deadline exceeded'),
  contextCanceled: entry(Code.Canceled, 'context canceled'),
} as const;

export type ErrorName = keyof typeof errors;
