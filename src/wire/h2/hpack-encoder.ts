/**
 * HPACK encoding of responses. Two fields go into the peer's dynamic table, with the first answer on a connection: the content type of gRPC and
 * the status OK; from then on the header blocks of a good call are two bytes and one. Everything else is sent as plain literals.
 */
import type { Writer } from '../../api/proto-io.ts';

/** Bytes that the two entries take in the table (RFC 7541 §4.1). */
const entriesBytes = 12 + 16 + 32 + (11 + 1 + 32);
/** Static indexes. */
const statusOk = 0x88;
const contentTypeName = 31;
const statusName = 8;
/** The content type is inserted first, so that it is the older of the two. */
const indexedContentType = 0x80 | 63;
const indexedGrpcOk = 0x80 | 62;
/** The table before and after each of the two insertions: `content-type` alone is number 62 until `grpc-status` follows. */
const contentTypeAlone = 0x80 | 62;

export class HpackEncoder {
  #tableBytes = 4_096;
  /** A smaller table that the peer asked for, to be confirmed in the next block. */
  #pendingSize: number | undefined;
  #contentTypeIn = false;
  #grpcOkIn = false;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setTableSize(bytes: number): void {
    if (bytes >= this.#tableBytes) return;
    this.#tableBytes = bytes;
    this.#pendingSize = bytes;
    if (bytes < entriesBytes) {
      this.#contentTypeIn = false;
      this.#grpcOkIn = false;
    }
  }

  /** A block begins: every block of a connection must pass here, in the order in which they are sent. */
  #begin(w: Writer): void {
    if (this.#pendingSize === undefined) return;
    writeInteger(w, 0x20, 5, this.#pendingSize);
    this.#pendingSize = undefined;
  }

  /** `:status: 200`, `content-type: application/grpc`. */
  writeGrpcHeaders(w: Writer): void {
    this.#begin(w);
    w.reserve(32);
    w.buf[w.pos++] = statusOk;
    if (this.#contentTypeIn) w.buf[w.pos++] = this.#grpcOkIn ? indexedContentType : contentTypeAlone;
    else if (this.#tableBytes < entriesBytes) writeLiteral(w, contentTypeName, undefined, 'application/grpc');
    else {
      this.#contentTypeIn = true;
      writeInteger(w, 0x40, 6, contentTypeName);
      writeString(w, 'application/grpc');
    }
  }

  /** `grpc-status: 0`. */
  writeGrpcOk(w: Writer): void {
    this.#begin(w);
    w.reserve(32);
    if (this.#grpcOkIn) w.buf[w.pos++] = indexedGrpcOk;
    else if (!this.#contentTypeIn) writeLiteral(w, 0, 'grpc-status', '0');
    else {
      this.#grpcOkIn = true;
      w.buf[w.pos++] = 0x40;
      writeString(w, 'grpc-status');
      writeString(w, '0');
    }
  }

  /** Any other block. Names must be in lower case; a `status` of 0 leaves `:status` out (trailers). */
  writeFields(w: Writer, status: number, fields: Iterable<readonly [string, string]>): void {
    this.#begin(w);
    if (status === 200) {
      w.reserve(1);
      w.buf[w.pos++] = statusOk;
    } else if (status !== 0) writeLiteral(w, statusName, undefined, String(status));
    for (const [name, value] of fields) writeLiteral(w, 0, name, value);
  }
}

/** A literal that enters no table: by the index of its name, or with the name. */
function writeLiteral(w: Writer, nameIndex: number, name: string | undefined, value: string): void {
  writeInteger(w, 0, 4, nameIndex);
  if (name !== undefined) writeString(w, name);
  writeString(w, value);
}

function writeInteger(w: Writer, pattern: number, prefix: number, v: number): void {
  w.reserve(6);
  const mask = (1 << prefix) - 1;
  if (v < mask) {
    w.buf[w.pos++] = pattern | v;
    return;
  }
  w.buf[w.pos++] = pattern | mask;
  w.varint32(v - mask);
}

function writeString(w: Writer, text: string): void {
  writeInteger(w, 0, 7, text.length);
  w.reserve(text.length);
  w.pos += w.buf.latin1Write(text, w.pos, text.length);
}
