/** Waits for the signals that ask a command to let go of what it holds. */

/** Fires at the first SIGINT or SIGTERM; a second one ends the process at once. */
export function stopSignal(): AbortSignal {
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort());
  return abort.signal;
}

/** Forgets the signals that a command waited for: it is over, and the next one of the shell does not know of them. */
export function forgetSignals(): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.removeAllListeners(name);
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
