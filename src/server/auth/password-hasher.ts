/** Where passwords are hashed: never on the event loop. The process entry binds a worker thread, the simulator something quick. */
export interface PasswordHasher {
  /** A bcrypt hash, `$2a$cost$…`. */
  hash(password: string, cost: number, done: (failure: HasherFailure | undefined, hash: string) => void): void;
  /** False as well for a hash that is none. */
  compare(password: string, hash: string, done: (failure: HasherFailure | undefined, matches: boolean) => void): void;
  close(): void;
  /** Jobs answered, and jobs turned away because too many waited, since the start. */
  readonly stats?: { readonly served: number; readonly refused: number };
}

/** `busy`: too many wait already; `too-long`: more than bcrypt's 72 bytes; `stopped`: the worker is gone. */
export type HasherFailure = 'busy' | 'too-long' | 'stopped';
