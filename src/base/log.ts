/** Logging as a seam: rooms get a `Log`, the process entry binds it to zap-shaped JSON. Fields keep their order. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Logs; the caller then stops the process. */
  fatal(message: string, fields?: LogFields): void;
  /** The same log under a logger name, such as `raft`. */
  named(name: string): Log;
  readonly debugEnabled: boolean;
}

export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
  named: () => silentLog,
  debugEnabled: false,
};
