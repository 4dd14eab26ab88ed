/**
 * A log file that is replaced when it is full: it is renamed `NAME-2006-01-02T15-04-05.000.EXT`, and a new one begins. Old ones are compressed
 * (`.gz`) and removed by number and age, in the background. Source: lumberjack, which etcd rotates with.
 */
import { createReadStream, createWriteStream, openSync, readdirSync, renameSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { LogRotation } from '../base/log.ts';

const dayMs = 24 * 60 * 60 * 1000;

interface OldFile {
  readonly path: string;
  readonly stamp: string;
  readonly compressed: boolean;
}

export class RotatedFile {
  readonly bytesMax: number;
  readonly #path: string;
  readonly #rotation: LogRotation;
  readonly #prefix: string;
  readonly #extension: string;
  #tidying: Promise<void> = Promise.resolve();

  constructor(path: string, rotation: LogRotation) {
    this.#path = path;
    this.#rotation = rotation;
    this.bytesMax = rotation.bytesMax;
    this.#extension = extname(path);
    this.#prefix = `${basename(path, this.#extension)}-`;
    this.#tidy();
  }

  /** Moves the full file away and opens a new one; undefined when the file system does not let it: then the full one is written on. */
  replace(): number | undefined {
    try {
      renameSync(this.#path, join(dirname(this.#path), `${this.#prefix}${this.#stamp()}${this.#extension}`));
      const fd = openSync(this.#path, 'a', 0o600);
      this.#tidy();
      return fd;
    } catch {
      return undefined;
    }
  }

  /** A time of its own: two files of one millisecond would be one. */
  #stamp(): string {
    for (let ms = Date.now(); ; ms++) {
      const shifted = this.#rotation.localTime ? ms - new Date(ms).getTimezoneOffset() * 60_000 : ms;
      const stamp = new Date(shifted).toISOString().slice(0, 23).replaceAll(':', '-');
      const path = join(dirname(this.#path), `${this.#prefix}${stamp}${this.#extension}`);
      if (statSync(path, { throwIfNoEntry: false }) === undefined) return stamp;
    }
  }

  #tidy(): void {
    // What cannot be tidied up stays; the next rotation tries again.
    this.#tidying = this.#tidying.then(() => this.#removeAndCompress()).catch(() => undefined);
  }

  /** Newest first. */
  #oldFiles(): OldFile[] {
    const found: OldFile[] = [];
    for (const name of readdirSync(dirname(this.#path))) {
      if (!name.startsWith(this.#prefix)) continue;
      const compressed = name.endsWith('.gz');
      const plain = compressed ? name.slice(0, -3) : name;
      if (!plain.endsWith(this.#extension)) continue;
      const stamp = plain.slice(this.#prefix.length, plain.length - this.#extension.length);
      if (/^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/.test(stamp)) found.push({ path: join(dirname(this.#path), name), stamp, compressed });
    }
    return found.sort((a, b) => (a.stamp < b.stamp ? 1 : -1));
  }

  async #removeAndCompress(): Promise<void> {
    const { filesMax, daysMax, compress } = this.#rotation;
    if (filesMax === 0 && daysMax === 0 && !compress) return;
    const old = this.#oldFiles();
    const oldest = Date.now() - daysMax * dayMs;
    for (const [i, file] of old.entries()) {
      const [day = '', time = ''] = file.stamp.split('T');
      const written = Date.parse(`${day}T${time.replaceAll('-', ':')}${this.#rotation.localTime ? '' : 'Z'}`);
      if ((filesMax > 0 && i >= filesMax) || (daysMax > 0 && written < oldest)) await rm(file.path, { force: true });
      else if (compress && !file.compressed) {
        await pipeline(createReadStream(file.path), createGzip(), createWriteStream(`${file.path}.gz`, { mode: 0o600 }));
        await rm(file.path, { force: true });
      }
    }
  }
}
