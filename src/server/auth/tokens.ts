/** What stands behind `--auth-token`: makes tokens and tells whose they are. */
import type { Status } from '../../api/status.ts';
import type { AuthInfo } from '../apply/types.ts';

export interface TokenProvider {
  /** The part of a token that is picked before proposing; empty when there is none. */
  prefix(): string;
  /**
   * Assigns a token at apply.
   * @param of.index  raft index before the entry's: tokens of all members are alike
   * @returns a function that gives the token: only the member that answers the client needs its text
   */
  assign(of: { readonly username: string; readonly revision: number; readonly index: number; readonly prefix: string }): {
    error: Status | undefined;
    token: () => string;
  };
  /** Undefined for a token that is not valid (any more). `revision` is the auth store's. */
  info(token: string, revision: number): AuthInfo | undefined;
  /** See `AuthStore.tokenIndex`. */
  indexOf(token: string): number;
  /** The user was deleted or got another password. */
  invalidateUser(username: string): void;
  enable(): void;
  /** Forgets all tokens. */
  disable(): void;
}
