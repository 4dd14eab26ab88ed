/** While a simulation runs, nobody may look at the real time or at real chance. */

const fakes = [
  [globalThis, 'setTimeout'],
  [globalThis, 'setInterval'],
  [globalThis, 'setImmediate'],
  [Date, 'now'],
  [Math, 'random'],
  [performance, 'now'],
] as const;

/** @returns the way to take it off. */
export function guardGlobals(used: (what: string) => void): () => void {
  const undo: (() => void)[] = [];
  for (const [owner, name] of fakes) {
    const holder = owner as unknown as Record<string, unknown>;
    const before = holder[name] as (...args: unknown[]) => unknown;
    const own = Object.prototype.hasOwnProperty.call(holder, name);
    holder[name] = (...args: unknown[]): unknown => {
      const stack = new Error().stack ?? '';
      // Test runners and Node itself go on with their own affairs.
      if (/\/(src|test\/simulation)\//.test(stack.split('\n').slice(2, 4).join('\n'))) used(`${name}: ${stack}`);
      return before.apply(owner, args);
    };
    undo.push(() => {
      if (own) holder[name] = before;
      else Reflect.deleteProperty(holder, name);
    });
  }
  return () => {
    for (const fn of undo) fn();
  };
}
