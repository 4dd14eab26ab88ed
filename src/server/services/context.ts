/**
 * What all services share: admission of a call, response headers, and the way of a request through raft.
 *
 * Hot path: a put costs one `Proposal` object and one header (cached while revision and term stand still); there is no promise and no closure.
 */
import type { ResponseHeader } from '../../api/gen/etcdserverpb.ts';
import { Auth, KV, Lease, type MethodDef } from '../../api/gen/methods.ts';
import { errors, type Status } from '../../api/status.ts';
import { must } from '../../base/invariant.ts';
import type { Span } from '../../base/trace.ts';
import type { HandlerTable, Metadata, StreamCall, UnaryCall } from '../../wire/call.ts';
import type { ApplyResult, AuthInfo, Completion, RaftRequest } from '../apply/types.ts';
import { LoginBackoff } from '../auth/login-backoff.ts';
import { authorize, isAnonymous, mustHaveRule, type CallScope } from '../auth/rules.ts';
import type { MemberFacade } from '../consensus/facade.ts';
import { defaultServiceLimits, type ServiceLimits } from './limits.ts';
import type { SnapshotSource } from './snapshot-source.ts';
import { WatchTimes } from '../mvcc/watch-times.ts';
import { HealthState } from './health.ts';
import { beginWork } from './work-spans.ts';
import { varintSize, writeBigVarint, writeVarint } from './varint.ts';

const utf8Strict = new TextDecoder('utf-8', { fatal: true });

/** What the services need besides the member itself. */
export interface ServiceDependencies {
  readonly snapshots: SnapshotSource;
  readonly watchTimes?: WatchTimes | undefined;
  readonly limits?: ServiceLimits | undefined;
}

/** How a method is treated before its handler runs. */
export interface MethodRule<Req, Res = unknown> {
  /** Whether a learner may serve this request; absent: none. */
  readonly learner?: ((request: Req) => boolean) | undefined;
  /** Looks at the shape of a request before anybody's rights, as etcd does: false when it has failed the call. */
  readonly check?: ((call: UnaryCall<Req, Res>) => boolean) | undefined;
  /** Whether this member must have caught up before rights are looked at and the request is served: a linearizable read. */
  readonly read?: ((request: Req) => boolean) | undefined;
}

/** Methods whose answers may be large however small the request is. */
const largeAnswers: ReadonlySet<string> = new Set(
  [
    KV.range,
    KV.deleteRange,
    KV.txn,
    Lease.leaseLeases,
    Lease.leaseTimeToLive,
    Auth.userList,
    Auth.roleList,
    Auth.userGet,
    Auth.roleGet,
  ].map((m) => m.path),
);

/** Runs for calls that the table of rules allows, and for no other. `info` is who calls; undefined when auth is off or nobody was asked for. */
export type AdmittedHandler<Req, Res> = (call: UnaryCall<Req, Res>, info: AuthInfo | undefined) => void;

/** Admissions kept for reuse: about as many as there are reads in one turn. */
const idleAdmissionsMax = 1024;

/** Who makes a call, and how it is told that it may not. */
export type Caller = Pick<UnaryCall, 'metadata' | 'peer' | 'fail'>;

/** The part of a unary call that a proposal needs, whatever its messages. */
export type EncodedCall = Pick<UnaryCall, 'method' | 'request' | 'requestBytes' | 'metadata' | 'peer' | 'fail' | 'replyEncoded' | 'span'>;

export class ServiceContext {
  readonly member: MemberFacade;
  readonly snapshots: SnapshotSource;
  readonly watchTimes: WatchTimes;
  readonly limits: ServiceLimits;
  readonly logins: LoginBackoff;
  readonly table: HandlerTable;
  readonly health: HealthState;
  /** The header's cluster and member id fields. */
  readonly #ids: Uint8Array;
  readonly #authScope: CallScope;
  #headerRev = -1;
  #headerTerm = -1;
  #header: Uint8Array = new Uint8Array(0);

  constructor(table: HandlerTable, member: MemberFacade, dependencies: ServiceDependencies) {
    this.table = table;
    this.member = member;
    this.snapshots = dependencies.snapshots;
    this.watchTimes = dependencies.watchTimes ?? new WatchTimes();
    this.limits = dependencies.limits ?? defaultServiceLimits;
    this.logins = new LoginBackoff(member.clock);
    this.health = new HealthState(member.log);
    this.#authScope = { auth: member.auth, leaseIds: () => member.lessor.list().map((l) => l.id) };
    const ids = Buffer.alloc(22);
    let at = 0;
    if (member.clusterId !== 0n) {
      ids[at++] = 0x08;
      at = writeBigVarint(ids, at, member.clusterId);
    }
    if (member.memberId !== 0n) {
      ids[at++] = 0x10;
      at = writeBigVarint(ids, at, member.memberId);
    }
    this.#ids = ids.subarray(0, at);
  }

  /**
   * The response's first field: `header = 1`, with its tag and length.
   *
   * @param rev  0 leaves the revision out.
   * @returns bytes shared between responses: not to be changed.
   */
  header(rev: number): Uint8Array {
    const term = this.member.raftTerm;
    if (rev === this.#headerRev && term === this.#headerTerm) return this.#header;
    const ids = this.#ids;
    const length = ids.length + (rev === 0 ? 0 : 1 + varintSize(rev)) + (term === 0 ? 0 : 1 + varintSize(term));
    const out = Buffer.allocUnsafe(2 + length);
    // 22 bytes of ids and at most 18 of revision and term: the length fits in one byte.
    out[0] = 0x0a;
    out[1] = length;
    out.set(ids, 2);
    let at = 2 + ids.length;
    if (rev !== 0) {
      out[at++] = 0x18;
      at = writeVarint(out, at, rev);
    }
    if (term !== 0) {
      out[at++] = 0x20;
      writeVarint(out, at, term);
    }
    this.#header = out;
    this.#headerRev = rev;
    this.#headerTerm = term;
    return out;
  }

  /** The same as a message, for responses that are encoded by their codec. */
  headerMessage(rev: number): ResponseHeader {
    const { member } = this;
    return { clusterId: member.clusterId, memberId: member.memberId, revision: rev, raftTerm: member.raftTerm };
  }

  /** A header with the store's current revision. */
  currentHeader(): ResponseHeader {
    return this.headerMessage(this.member.kv.currentRev);
  }

  /** Registers a unary method behind the checks that every call passes, the table of rules among them: a handler cannot forget it. */
  unary<Req, Res>(method: MethodDef<Req, Res>, handler: AdmittedHandler<Req, Res>, rule?: MethodRule<Req, Res>): void {
    mustHaveRule(method as unknown as MethodDef);
    const { learner, check, read } = rule ?? {};
    const admissions = new Admissions<Req, Res>(this, method, handler);
    const enter = (call: UnaryCall<Req, Res>): void => {
      if (check?.(call) === false) return;
      if (call.span !== undefined) beginWork(call.span, method.path, call.request);
      if (read?.(call.request) !== true) return admissions.enter(call);
      const admission = admissions.take(call);
      this.member.linearizableRead(admission.read);
      admission.waits = true;
    };
    const admit = (call: UnaryCall<Req, Res>): void => {
      const refused = this.#admit(call.metadata, this.member.isLearner && !(learner?.(call.request) ?? false));
      if (refused !== undefined) call.fail(refused);
      else if (this.#knowsToken(call.metadata)) enter(call);
      else this.#afterCatchUp(call, () => enter(call));
    };
    this.table.addUnary<Req, Res>(method, admit, !largeAnswers.has(method.path));
  }

  /**
   * Registers a streaming method. The stream ends with "no leader" when the client asked for a leader and the member loses it, and with
   * "server stopped" when the member stops.
   */
  stream<Req, Res>(
    method: MethodDef<Req, Res>,
    handler: (scope: StreamScope<Req, Res>) => void,
    rule?: { readonly learner?: boolean },
  ): void {
    const learner = rule?.learner ?? false;
    mustHaveRule(method as unknown as MethodDef);
    this.table.addStream<Req, Res>(method, (call) => {
      const refused = this.#admit(call.metadata, this.member.isLearner && !learner);
      if (refused === undefined) handler(new StreamScope(this, method, call));
      else call.fail(refused);
    });
  }

  /** A token may be younger than what this member has applied: then it is not bad, the member is late. */
  #knowsToken(metadata: Metadata): boolean {
    const { auth } = this.member;
    return !auth.enabled || auth.tokenIndex(metadata) <= this.member.appliedIndex;
  }

  #afterCatchUp(call: Pick<UnaryCall, 'fail' | 'cancelled'>, next: () => void): void {
    this.member.linearizableRead((error) => {
      if (error !== undefined) call.fail(error);
      else if (!call.cancelled) next();
    });
  }

  #admit(metadata: Metadata, refuseAsLearner: boolean): Status | undefined {
    if (refuseAsLearner) return errors.notSupportedForLearner;
    if (metadata.size === 0) return undefined;
    const version = metadata.get('client-api-version')?.[0];
    if (version !== undefined && !isUtf8(version)) return errors.invalidClientAPIVersion;
    if (metadata.get('hasleader')?.[0] === 'true' && this.member.leader === 0n) return errors.noLeader;
    return undefined;
  }

  /**
   * May this caller make this call, by the table of rules? Gives who it is (undefined while auth is off, or for a call that anybody may
   * make); fails the call and gives false when it may not.
   *
   * @param request  the decoded request; of a streaming method, the message at hand
   */
  authorize<Req, Res>(caller: Caller, method: MethodDef<Req, Res>, request: unknown): AuthInfo | undefined | false {
    const { auth } = this.member;
    if (!auth.enabled || isAnonymous(method as unknown as MethodDef, request)) return undefined;
    const { error, info } = auth.authInfo(caller.metadata, caller.peer);
    const refused = error ?? authorize(this.#authScope, method as unknown as MethodDef, info, request);
    if (refused === undefined) return info;
    caller.fail(refused);
    return false;
  }

  /** The caller, checked again after waiting: roles may have changed in between. */
  staleAuth(info: AuthInfo | undefined): Status | undefined {
    return info !== undefined && info.revision !== 0 && info.revision !== this.member.auth.revision ? errors.authOldRevision : undefined;
  }

  /** Takes the request through raft and answers with what apply gives. */
  propose(call: EncodedCall, info: AuthInfo | undefined, request: RaftRequest): void {
    this.member.propose(request, info, new Proposal(this, call));
  }

  /** As `propose` for a request whose bytes travel as the client sent them; `field` is its number in InternalRaftRequest. */
  proposeEncoded(call: EncodedCall, info: AuthInfo | undefined, field: number): void {
    this.member.proposeEncoded(field, call.requestBytes, info, new Proposal(this, call), call.request);
  }

  /** The whole response body: header in front of what apply made. */
  frame(result: ApplyResult): readonly Uint8Array[] {
    const { body } = result;
    const header = this.header(result.rev);
    switch (body.length) {
      case 0:
        return [header];
      case 1:
        return [header, body[0] as Uint8Array];
      default:
        return [header, ...body];
    }
  }
}

/** Unary calls of one method on their way to its handler. */
class Admissions<Req, Res> {
  readonly #context: ServiceContext;
  readonly #method: MethodDef<Req, Res>;
  readonly #handler: AdmittedHandler<Req, Res>;
  readonly #idle: Admission<Req, Res>[] = [];

  constructor(context: ServiceContext, method: MethodDef<Req, Res>, handler: AdmittedHandler<Req, Res>) {
    this.#context = context;
    this.#method = method;
    this.#handler = handler;
  }

  /** When the newest round of reads was over. */
  get agreedMs(): number {
    return this.#context.member.readAgreedMs;
  }

  take(call: UnaryCall<Req, Res>): Admission<Req, Res> {
    const admission = this.#idle.pop() ?? new Admission(this);
    admission.call = call;
    admission.waits = false;
    admission.wait = call.span?.work?.child('read index');
    return admission;
  }

  release(admission: Admission<Req, Res>): void {
    admission.call = undefined;
    admission.wait = undefined;
    if (this.#idle.length < idleAdmissionsMax) this.#idle.push(admission);
  }

  enter(call: UnaryCall<Req, Res>): void {
    const info = this.#context.authorize(call, this.#method, call.request);
    if (info !== false) this.#handler(call, info);
  }
}

/** A call that waits for a linearizable read. Its callback is made once and lives as long as the object, which serves one call after the other. */
class Admission<Req, Res> {
  call: UnaryCall<Req, Res> | undefined;
  /** The read was not answered at once. */
  waits = false;
  /** Of a traced call. */
  wait: Span | undefined;
  readonly read: (error: Status | undefined) => void;

  constructor(of: Admissions<Req, Res>) {
    this.read = (error) => {
      const call = must(this.call, 'an admission under way has its call');
      if (this.wait !== undefined) this.wait.end();
      if (this.waits && error === undefined) call.agreedMs = of.agreedMs;
      of.release(this);
      if (error !== undefined) call.fail(error);
      else if (!call.cancelled) of.enter(call);
    };
  }
}

/** A message of a stream. What it asks for is seen only by whom the table of rules has let pass. */
export class StreamRequest<Req> {
  readonly #scope: Pick<StreamScope<Req, unknown>, 'authorize'>;
  readonly #message: Req;
  /** Who asks, once it was opened. */
  info: AuthInfo | undefined;

  constructor(scope: Pick<StreamScope<Req, unknown>, 'authorize'>, message: Req) {
    this.#scope = scope;
    this.#message = message;
  }

  /**
   * The message, when its sender may ask for it by now; otherwise undefined, and the stream has failed.
   * @param refused  takes the reason in the stream's stead
   */
  open(refused?: (status: Status) => void): Req | undefined {
    const info = this.#scope.authorize(this.#message, refused);
    if (info === false) return undefined;
    this.info = info;
    return this.#message;
  }

  /** For checks of a message's shape, which come before rights. */
  shape<T>(look: (message: Req) => T): T {
    return look(this.#message);
  }
}

/** An open stream and what has to be let go with it, whoever ends it: client, handler, loss of the leader, or the member's stop. */
export class StreamScope<Req, Res> {
  /** Without its messages: they come by `onRequest`. */
  readonly call: Omit<StreamCall<Req, Res>, 'onMessage'>;
  readonly #context: ServiceContext;
  readonly #method: MethodDef<Req, Res>;
  readonly #undo: (() => void)[] = [];
  onRequest: ((request: StreamRequest<Req>) => void) | undefined;
  #over = false;

  constructor(context: ServiceContext, method: MethodDef<Req, Res>, call: StreamCall<Req, Res>) {
    this.call = call;
    this.#context = context;
    this.#method = method;
    const { member } = context;
    call.onMessage = (message) => this.onRequest?.(new StreamRequest(this, message));
    call.onCancel = () => this.#close();
    this.onOver(member.onStop(() => this.fail(errors.stopped)));
    if (call.metadata.get('hasleader')?.[0] === 'true') this.onOver(member.onLeaderLost(() => this.fail(errors.noLeader)));
  }

  /** As ServiceContext.authorize, for one message of this stream. */
  authorize(message: Req, refused: ((status: Status) => void) | undefined): AuthInfo | undefined | false {
    const { metadata, peer } = this.call;
    return this.#context.authorize({ metadata, peer, fail: refused ?? ((status) => this.fail(status)) }, this.#method, message);
  }

  get over(): boolean {
    return this.#over;
  }

  /** Runs `fn` once when the stream is over; at once when it is already. */
  onOver(fn: () => void): void {
    if (this.#over) fn();
    else this.#undo.push(fn);
  }

  /** Ends the stream with OK. */
  end(): void {
    if (this.#over) return;
    this.#close();
    this.call.end();
  }

  fail(status: Status): void {
    if (this.#over) return;
    this.#close();
    this.call.fail(status);
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    for (const fn of this.#undo) fn();
    this.#undo.length = 0;
  }
}

/** A unary call that waits for its proposal. */
export class Proposal implements Completion {
  readonly span: Span | undefined;
  readonly #context: ServiceContext;
  readonly #call: EncodedCall;

  constructor(context: ServiceContext, call: EncodedCall) {
    this.span = call.span?.work;
    this.#context = context;
    this.#call = call;
  }

  complete(error: Status | undefined, result: ApplyResult | undefined): void {
    const failed = error ?? result?.error;
    if (failed !== undefined) this.#call.fail(failed);
    else if (result !== undefined) this.#call.replyEncoded(this.#context.frame(result));
  }
}

/** Fails the call with what is wrong with it, if anything is. */
export function passes(call: Pick<UnaryCall, 'fail'>, bad: Status | undefined): boolean {
  if (bad === undefined) return true;
  call.fail(bad);
  return false;
}

function isUtf8(value: string | Uint8Array): boolean {
  let bytes: Uint8Array;
  if (typeof value === 'string') {
    let ascii = true;
    for (let i = 0; ascii && i < value.length; i++) ascii = value.charCodeAt(i) < 128;
    if (ascii) return true;
    // Header values arrive one character a byte.
    bytes = Buffer.from(value, 'latin1');
  } else bytes = value;
  try {
    utf8Strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
