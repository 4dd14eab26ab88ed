/**
 * The write-ahead log's format, which is etcd's.
 *
 * A log is a folder of segments `SSSSSSSSSSSSSSSS-IIIIIIIIIIIIIIII.wal`: sequence number and index of the first entry that may follow, 16
 * hex digits each. A segment is a row of frames; what is left of it is zero.
 *
 *   frame    8 bytes   little-endian: low 56 bits = N; top byte = 0x80 + P when P > 0, else 0
 *            N bytes   walpb.Record: 1 type (varint), 2 crc (varint), 3 data (bytes; left out when there is none)
 *            P bytes   zeros up to a multiple of 8
 *
 * `crc` is CRC-32C over the data of all records since the log began, this one included. A record of type crc has no data and carries the
 * value over from the segment before; each segment begins with one, followed by the metadata and, but for the first segment, the hard state.
 *
 * Worked example, the first 24 bytes of every log: `04 00 00 00 00 00 00 84 | 08 04 10 00 | 00 00 00 00` is a crc record of four bytes,
 * padded by four, with the value 0.
 */

export const RecordType = { metadata: 1, entry: 2, state: 3, crc: 4, snapshot: 5 } as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** A batch that ends at or beyond this many bytes closes its segment. 64 million, not 64 MiB. */
export const segmentBytesDefault = 64_000_000;

export const frameBytes = 8;

/** What a disk writes as a whole or not at all. */
export const sectorBytes = 512;

export interface SegmentName {
  readonly name: string;
  readonly sequence: number;
  /** First entry index that may be in it. */
  readonly index: number;
}

export function segmentName(sequence: number, index: number): string {
  return `${hex16(sequence)}-${hex16(index)}.wal`;
}

export function parseSegmentName(name: string): SegmentName | undefined {
  const m = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/.exec(name);
  if (m === null) return undefined;
  const sequence = Number.parseInt(m[1] as string, 16);
  const index = Number.parseInt(m[2] as string, 16);
  return Number.isSafeInteger(sequence) && Number.isSafeInteger(index) ? { name, sequence, index } : undefined;
}

/** Zeros after a record of `n` bytes. */
export function paddingOf(n: number): number {
  return -n & 7;
}

export function hex16(n: number): string {
  return n.toString(16).padStart(16, '0');
}
