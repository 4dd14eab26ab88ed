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

/** When a log file is replaced by a new one, and what becomes of the old ones. */
export interface LogRotation {
  /** A file does not grow beyond this. */
  readonly bytesMax: number;
  /** Old files are removed after so many days; 0 keeps them. */
  readonly daysMax: number;
  /** Old files kept; 0 keeps all. */
  readonly filesMax: number;
  /** Old files are named in local time, else in UTC. */
  readonly localTime: boolean;
  /** Old files are compressed with gzip. */
  readonly compress: boolean;
}
