// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';

const empty = new Uint8Array(0);

export interface SnapshotFile {
  crc: number;
  data: Uint8Array;
}
export const SnapshotFile: Codec<SnapshotFile> = {
  typeName: 'snappb.snapshot',
  create() {
    return { crc: 0, data: empty };
  },
  encode(m) {
    return encodeWith(SnapshotFile, m);
  },
  write(m, w) {
    w.varint32(8);
    w.varint32(m.crc ?? 0);
    if (m.data !== undefined && m.data.length !== 0) {
      w.varint32(18);
      w.bytes(m.data);
    }
  },
  decode(b) {
    return decodeWith(SnapshotFile, b);
  },
  read(r, end) {
    const m = SnapshotFile.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 8:
          m.crc = r.varint32();
          break;
        case 18:
          m.data = r.bytes();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};
