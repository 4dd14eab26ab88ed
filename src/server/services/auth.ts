/** Auth: every method is a request through raft; what must be decided before (hashes, tokens) is the auth store's `prepare`. */
import { InternalRaftRequest, type AuthenticateRequest, type AuthenticateResponse } from '../../api/gen/etcdserverpb.ts';
import { Auth, type MethodDef } from '../../api/gen/methods.ts';
import { errors, type Status } from '../../api/status.ts';
import type { UnaryCall } from '../../wire/call.ts';
import type { ApplyResult, RaftRequest } from '../apply/types.ts';
import { Proposal, type ServiceContext } from './context.ts';

/** An Authenticate starts over when the auth store changed under it; a client that loses this often is told so. */
const authenticateAttemptsMax = 10;

/** Fields of InternalRaftRequest that carry an auth request as it came. */
type AuthField = {
  [F in keyof InternalRaftRequest]: F extends `auth${string}` ? (F extends 'authenticate' ? never : F) : never;
}[keyof InternalRaftRequest];

export function registerAuth(context: ServiceContext): void {
  const forward = <F extends AuthField, Res>(method: MethodDef<NonNullable<InternalRaftRequest[F]>, Res>, field: F): void =>
    context.unary(method, (call, info) => {
      const request = InternalRaftRequest.create();
      request[field] = call.request as InternalRaftRequest[F];
      context.member.auth.prepare(request, (error, prepared) => {
        if (error !== undefined || prepared === undefined) call.fail(error ?? errors.authFailed);
        else context.member.propose(prepared, info, new Proposal(context, call));
      });
    });
  forward(Auth.authEnable, 'authEnable');
  forward(Auth.authDisable, 'authDisable');
  forward(Auth.authStatus, 'authStatus');
  forward(Auth.userAdd, 'authUserAdd');
  forward(Auth.userGet, 'authUserGet');
  forward(Auth.userList, 'authUserList');
  forward(Auth.userDelete, 'authUserDelete');
  forward(Auth.userChangePassword, 'authUserChangePassword');
  forward(Auth.userGrantRole, 'authUserGrantRole');
  forward(Auth.userRevokeRole, 'authUserRevokeRole');
  forward(Auth.roleAdd, 'authRoleAdd');
  forward(Auth.roleGet, 'authRoleGet');
  forward(Auth.roleList, 'authRoleList');
  forward(Auth.roleDelete, 'authRoleDelete');
  forward(Auth.roleGrantPermission, 'authRoleGrantPermission');
  forward(Auth.roleRevokePermission, 'authRoleRevokePermission');
  context.unary(Auth.authenticate, (call) => {
    const { auth, clock } = context.member;
    const go = (): void => {
      if (!call.cancelled) authenticate(context, call, authenticateAttemptsMax);
    };
    const wait = auth.enabled ? context.logins.attempt(call.peer.address, call.request.name) : 0;
    if (wait === undefined) call.fail(errors.requestTooManyRequests);
    else if (wait > 0) clock.after(wait, go);
    else go();
  });
}

/**
 * The password is compared here, against users as of now; the token then goes through raft, so that every member knows it. When a change of
 * users or roles came in between, the comparison may have been against an old password, and is made again.
 */
function authenticate(context: ServiceContext, call: UnaryCall<AuthenticateRequest, AuthenticateResponse>, attemptsLeft: number): void {
  const { member } = context;
  member.linearizableRead((error) => {
    if (error !== undefined) return call.fail(error);
    const request = InternalRaftRequest.create();
    request.authenticate = { name: call.request.name, password: call.request.password, simpleToken: '' };
    const from = call.peer.address;
    const done = (refused: Status | undefined, prepared: RaftRequest | undefined): void => {
      if (refused === errors.authFailed) context.logins.failed(from, call.request.name);
      if (refused !== undefined || prepared === undefined) return call.fail(refused ?? errors.authFailed);
      context.logins.succeeded(from, call.request.name);
      const { revision } = member.auth;
      member.propose(prepared, undefined, {
        complete(failed: Status | undefined, result: ApplyResult | undefined) {
          const status = failed ?? result?.error;
          if (status !== undefined) call.fail(status);
          else if (member.auth.revision !== revision && attemptsLeft > 1) authenticate(context, call, attemptsLeft - 1);
          else if (result !== undefined) call.replyEncoded(context.frame(result));
        },
      });
    };
    member.auth.prepare(request, done, from);
  });
}
