/** Streams that were reset of late: frames on them may be on their way still. */

/** Ids remembered; one gives way to another that comes so many streams later. */
const recentIdsMax = 1024;

export class RecentIds {
  /** Each id in a place of its own among so many that follow one another; 0 = none. */
  #ids: Int32Array | undefined;

  add(id: number): void {
    this.#ids ??= new Int32Array(recentIdsMax);
    this.#ids[place(id)] = id;
  }

  has(id: number): boolean {
    return this.#ids !== undefined && this.#ids[place(id)] === id;
  }

  /** False when it was not there. */
  delete(id: number): boolean {
    if (!this.has(id)) return false;
    (this.#ids as Int32Array)[place(id)] = 0;
    return true;
  }
}

/** Of one side the ids are all odd or all even. */
function place(id: number): number {
  return (id >>> 1) % recentIdsMax;
}
