/** Versions that a cursor found, in columns: a walk over many of them leaves nothing behind. */

/** Versions taken from the index at once. */
export const versionsAtOnce = 256;

export class VersionList {
  readonly main = new Float64Array(versionsAtOnce);
  readonly sub = new Uint32Array(versionsAtOnce);
  /** Opaque; valid as `Version.position`. */
  readonly position = new Float64Array(versionsAtOnce);
  /** Bytes of the stored record, of which the backend knows what it adds to a row. */
  readonly size = new Uint32Array(versionsAtOnce);
  count = 0;

  add(main: number, sub: number, position: number, size: number): void {
    const i = this.count++;
    this.main[i] = main;
    this.sub[i] = sub;
    this.position[i] = position;
    this.size[i] = size;
  }
}

/** Lists kept for the next reader. */
const sparesMax = 8;
const spares: VersionList[] = [];

/** An empty list; give it back with `returnList`, or forget it. */
export function lendList(): VersionList {
  const list = spares.pop() ?? new VersionList();
  list.count = 0;
  return list;
}

export function returnList(list: VersionList): void {
  if (spares.length < sparesMax) spares.push(list);
}
