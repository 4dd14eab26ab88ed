/**
 * Named places where a test can make the member fail, wait or yield a value. Off, a point costs one comparison with `undefined`.
 * Names and places are etcd's; the control (environment, HTTP) is bound by the process entry through `setFailpoints`.
 */
export interface FailpointController {
  /** Runs the point. Returns its value when the terms have one; may end the process; may block. */
  hit(name: string): string | undefined;
  /** As `hit`, for points that stand in asynchronous paths: a sleep is waited for, then `next` runs (at once when the point is off). */
  pass(name: string, next: (value: string | undefined) => void): void;
}

let controller: FailpointController | undefined;

export function setFailpoints(c: FailpointController | undefined): void {
  controller = c;
}

/** For points on hot paths that must not make a closure each time. */
export function failpointsOn(): boolean {
  return controller !== undefined;
}

/** A point in a synchronous section. */
export function failpoint(name: string): string | undefined {
  return controller === undefined ? undefined : controller.hit(name);
}

/** A point in an asynchronous path. */
export function failpointThen(name: string, next: (value: string | undefined) => void): void {
  if (controller === undefined) next(undefined);
  else controller.pass(name, next);
}

/** As `failpointThen`, for paths of promises: resolves once the point is passed. */
export function failpointPassed(name: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    failpointThen(name, resolve);
  });
}
