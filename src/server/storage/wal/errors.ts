/** Why a log cannot be used. */

export type WalErrorCode =
  /** A checksum, frame or field is wrong and it is not a torn tail (rule F-5). */
  | 'corrupt'
  /** Entries or segments are missing between others. */
  | 'gap'
  /** What a checkpoint or commit index promises is not there any more (rule F-6). */
  | 'ends-early'
  /** The log has no record of the snapshot that it was to be read from. */
  | 'snapshot-not-found'
  /** It has one of that index, with another term. */
  | 'snapshot-mismatch'
  /** No segment reaches down to the snapshot. */
  | 'segment-not-found'
  /** Segments disagree on cluster or member. */
  | 'metadata-conflict'
  /** Another process or member holds a segment. */
  | 'locked'
  /** There is a log already. */
  | 'exists';

export interface WalPlace {
  readonly path: string;
  /** Byte offset of the frame. */
  readonly offset?: number;
  /** The frame's number in its segment, from 0. */
  readonly record?: number;
}

export class WalError extends Error {
  readonly code: WalErrorCode;
  readonly place: WalPlace;

  constructor(code: WalErrorCode, what: string, place: WalPlace, cause?: unknown) {
    super(`wal: ${what}${placeText(place)}${adviceOf(code)}`, { cause });
    this.code = code;
    this.place = place;
  }
}

function placeText(place: WalPlace): string {
  let text = ` (${place.path}`;
  if (place.offset !== undefined) text += `, offset ${place.offset}`;
  if (place.record !== undefined) text += `, record ${place.record}`;
  return `${text})`;
}

/** What an operator should do: a log that lost acknowledged entries must not vote again under the same member id. */
function adviceOf(code: WalErrorCode): string {
  if (code === 'corrupt' || code === 'gap' || code === 'ends-early')
    return '; remove this member from the cluster and add it again with an empty data directory, or restore a snapshot';
  return '';
}
