// Generated from proto/ by scripts/generate-api.mjs. Do not edit: change the .proto and run `npm run generate`.
import { decodeWith, encodeWith, type Codec } from '../proto-io.ts';
import { KeyValue } from './otlp-common.ts';

export interface Resource {
  attributes: KeyValue[];
  droppedAttributesCount: number;
}
export const Resource: Codec<Resource> = {
  typeName: 'opentelemetry.proto.resource.v1.Resource',
  create() {
    return { attributes: [], droppedAttributesCount: 0 };
  },
  encode(m) {
    return encodeWith(Resource, m);
  },
  write(m, w) {
    if (m.attributes !== undefined)
      for (const e of m.attributes) {
        w.varint32(10);
        const mark = w.beginMessage();
        KeyValue.write(e, w);
        w.endMessage(mark);
      }
    if (m.droppedAttributesCount !== undefined && m.droppedAttributesCount !== 0) {
      w.varint32(16);
      w.varint32(m.droppedAttributesCount);
    }
  },
  decode(b) {
    return decodeWith(Resource, b);
  },
  read(r, end) {
    const m = Resource.create();
    r.enter();
    while (r.pos < end) {
      const tag = r.varint32();
      switch (tag) {
        case 10:
          m.attributes.push(KeyValue.read(r, r.messageEnd()));
          break;
        case 16:
          m.droppedAttributesCount = r.varint32();
          break;
        default:
          r.skip(tag);
      }
    }
    r.leave(r.pos, end);
    return m;
  },
};
