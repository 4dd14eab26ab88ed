/** A broken invariant: a bug in this program, never an operating error. The member stops with exit code 22. */
export class InvariantError extends Error {
  readonly code = 'invariant';
  readonly values: Readonly<Record<string, unknown>>;

  constructor(what: string, values: Readonly<Record<string, unknown>>) {
    super(`invariant broken: ${what}`);
    this.values = values;
  }
}

/** Stops the member when `condition` does not hold. `what` says what held, in the positive. Stays on in production. */
export function invariant(condition: boolean, what: string, values?: Readonly<Record<string, unknown>>): asserts condition {
  if (!condition) throw new InvariantError(what, values ?? {});
}

/** A value that is known to be there. */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new InvariantError(what, {});
  return value;
}
