// Messages of one open stream that wait to be looked at, and the view of watch messages that leaves batching free.
import { isObject, type Json, type JsonObject } from './corpus.ts';

export interface EndStatus {
  readonly code?: number;
  readonly message?: string;
}

export class Inbox {
  readonly messages: JsonObject[] = [];
  readonly isWatch: boolean;
  end: EndStatus | undefined;
  send: (message: Json) => void = () => {};
  halfClose: () => void = () => {};
  cancel: () => void = () => {};
  readonly #waiting = new Set<() => void>();

  constructor(isWatch: boolean) {
    this.isWatch = isWatch;
  }

  push(message: JsonObject): void {
    this.messages.push(message);
    this.#wake();
  }

  close(status: EndStatus): void {
    this.end ??= status;
    this.#wake();
  }

  #wake(): void {
    for (const fn of [...this.#waiting]) fn();
  }

  /** Resolves when `test` holds, the stream ended, or the time is up. */
  async until(test: () => boolean, ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (!test() && this.end === undefined) return;
        done();
      };
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(check);
      check();
    });
  }
}

type Kind = 'control' | 'progress' | 'events';
const kindOf = (m: JsonObject): Kind =>
  m['created'] !== undefined || m['canceled'] !== undefined || m['compact_revision'] !== undefined
    ? 'control'
    : m['events']
      ? 'events'
      : 'progress';
const idOf = (m: JsonObject): string => (m['watch_id'] as string | undefined) ?? '0';
const events = (m: JsonObject): JsonObject[] => m['events'] as JsonObject[];

/** Whether the messages hold at least what the step waits for. */
export function holdsWanted(messages: readonly JsonObject[], want: JsonObject): boolean {
  const count = { control: 0, progress: 0 };
  const perWatch = new Map<string, number>();
  for (const m of messages) {
    const kind = kindOf(m);
    if (kind === 'events') perWatch.set(idOf(m), (perWatch.get(idOf(m)) ?? 0) + events(m).length);
    else count[kind]++;
  }
  if (count.control < Number(want['control'] ?? 0) || count.progress < Number(want['progress'] ?? 0)) return false;
  return Object.entries((want['events'] ?? {}) as Record<string, number>).every(([id, n]) => (perWatch.get(id) ?? 0) >= n);
}

/** @throws Error when a revision is split without being a fragment, or a header is older than its events. */
export function watchView(messages: readonly JsonObject[]): JsonObject {
  const lists: Record<'control' | 'progress', JsonObject[]> = { control: [], progress: [] };
  const perWatch: Record<string, Json[]> = {};
  const revisions: JsonObject = {};
  const last = new Map<string, { rev: Json | undefined; fragment: boolean }>();
  const revOf = (e: JsonObject | undefined): Json | undefined => (isObject(e?.['kv']) ? e['kv']['mod_revision'] : undefined);
  for (const m of messages) {
    const kind = kindOf(m);
    if (kind !== 'events') {
      lists[kind].push(m);
      continue;
    }
    const id = idOf(m);
    const list = events(m);
    const before = last.get(id);
    if (before !== undefined && before.rev === revOf(list[0]) && !before.fragment)
      throw new Error(`watch ${id}: events of revision ${String(before.rev as string)} are split over messages that are not fragments`);
    const rev = revOf(list.at(-1));
    const header = (m['header'] as JsonObject)['revision'];
    if (Number(header ?? 0) < Number(rev ?? 0))
      throw new Error(`watch ${id}: header revision ${String(header as string)} is below its events' ${String(rev as string)}`);
    last.set(id, { rev, fragment: m['fragment'] === true });
    (perWatch[id] ??= []).push(...list);
    revisions[id] = header ?? null;
  }
  const view: JsonObject = {};
  if (lists.control.length > 0) view['control'] = lists.control;
  if (lists.progress.length > 0) view['progress'] = lists.progress;
  if (Object.keys(perWatch).length > 0) Object.assign(view, { events: perWatch, revisions });
  return view;
}
