// HPACK against the examples of RFC 7541 (appendix C) and against itself.
import { describe, expect, it } from 'vitest';
import { Writer } from '../../../../src/api/proto-io.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import { FieldKind, HpackDecoder, type HeaderEntry } from '../../../../src/wire/h2/hpack-decoder.ts';
import { HpackEncoder } from '../../../../src/wire/h2/hpack-encoder.ts';
import { huffman } from '../../../../src/wire/h2/hpack-tables.ts';
import { huffmanDecode } from '../../../../src/wire/h2/huffman.ts';
import { huffmanEncode } from '../../../conformance/wire/raw.ts';

const decoder = (tableBytes = 4_096): HpackDecoder => new HpackDecoder({ tableBytes, listBytesMax: 65_536, countMax: 1_000 });
const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

function decode(d: HpackDecoder, bytes: Buffer): string[] {
  const out: HeaderEntry[] = [];
  d.decode(bytes, 0, bytes.length, out);
  return out.map((e) => `${e.name}: ${e.value}`);
}

describe('Huffman code', () => {
  it('has the codes of the RFC', () => {
    const of = (c: string): string =>
      (huffman.codes[c.charCodeAt(0)] as number).toString(2).padStart(huffman.lengths[c.charCodeAt(0)] as number, '0');
    expect([of('0'), of('a'), of(' '), of('&'), of('~'), of('\x0a'), of('\xff')]).toEqual([
      '00000',
      '00011',
      '010100',
      '11111000',
      '1111111111101',
      '111111111111111111111111111100',
      '11111111111111111111101110',
    ]);
    expect(huffman.codes[22]).toBe(0x3ffffffe);
  });

  it('decodes what it encodes', () => {
    for (let seed = 0; seed < 500; seed++) {
      const r = new SeededRandom(seed);
      const text = Buffer.from(r.bytes(r.u32() % 80)).toString('latin1');
      const coded = huffmanEncode(text);
      expect(huffmanDecode(coded, 0, coded.length)).toBe(text);
    }
    const long = 'x'.repeat(20_000);
    const coded = huffmanEncode(long);
    expect(huffmanDecode(coded, 0, coded.length)).toBe(long);
  });

  it.each([
    ['more than seven bits of padding', '1fff'],
    ['padding that is not ones', '18'],
    ['EOS', 'ffffffff'],
    ['EOS with padding', 'fffffffffc'],
    ['a code that is cut', 'fffe'],
  ])('refuses %s', (_what, bytes) => {
    expect(huffmanDecode(hex(bytes), 0, bytes.length / 2)).toBeUndefined();
  });
});

describe('decoder', () => {
  it('reads the requests of C.3 and C.4', () => {
    for (const blocks of [
      [
        '828684410f7777772e6578616d706c652e636f6d',
        '828684be58086e6f2d6361636865',
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
      ],
      ['828684418cf1e3c2e5f23a6ba0ab90f4ff', '828684be5886a8eb10649cbf', '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf'],
    ]) {
      const d = decoder();
      const all = blocks.map((b) => decode(d, hex(b)));
      expect(all[0]).toEqual([':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com']);
      expect(all[1]).toEqual([':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache']);
      expect(all[2]).toEqual([
        ':method: GET',
        ':scheme: https',
        ':path: /index.html',
        ':authority: www.example.com',
        'custom-key: custom-value',
      ]);
    }
  });

  it('reads the responses of C.5 and C.6, with evictions', () => {
    for (const blocks of [
      [
        '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d',
        '4803333037c1c0bf',
        '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
      ],
      [
        '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
        '4883640effc1c0bf',
        '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
      ],
    ]) {
      const d = decoder(256);
      const all = blocks.map((b) => decode(d, hex(b)));
      expect(all[0]).toEqual([
        ':status: 302',
        'cache-control: private',
        'date: Mon, 21 Oct 2013 20:13:21 GMT',
        'location: https://www.example.com',
      ]);
      expect(all[1]).toEqual([
        ':status: 307',
        'cache-control: private',
        'date: Mon, 21 Oct 2013 20:13:21 GMT',
        'location: https://www.example.com',
      ]);
      expect(all[2]).toEqual([
        ':status: 200',
        'cache-control: private',
        'date: Mon, 21 Oct 2013 20:13:22 GMT',
        'location: https://www.example.com',
        'content-encoding: gzip',
        'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
      ]);
    }
  });

  it.each([
    ['index 0', '80'],
    ['an index beyond the tables', 'be'],
    ['an integer without end', 'ffffffffff'],
    ['an integer that is cut', 'ff'],
    ['a string that is cut', '400a63'],
    ['a table size above the limit', '3fe21f'],
    ['a table size after a field', '8220'],
    ['a bad Huffman string', '4081ff00'],
  ])('refuses %s', (_what, bytes) => {
    expect(() => decode(decoder(), hex(bytes))).toThrowError(expect.objectContaining({ code: 9 }) as Error);
  });

  it('empties its table for a field larger than it', () => {
    const d = decoder(64);
    decode(d, hex('4001610162'));
    expect(decode(d, hex('be'))).toEqual(['a: b']);
    decode(d, Buffer.concat([hex('400163 7f01'), Buffer.alloc(128, 'z')]));
    expect(() => decode(d, hex('be'))).toThrow();
  });

  it('counts versions of its table', () => {
    const d = decoder();
    decode(d, hex('82'));
    expect(d.version).toBe(0);
    decode(d, hex('4001610162'));
    decode(d, hex('be'));
    expect(d.version).toBe(1);
    decode(d, hex('20'));
    expect(d.version).toBe(2);
  });

  it('follows a long life of its table', () => {
    const d = decoder();
    for (let i = 0; i < 2_000; i++) {
      const name = Buffer.from(`name-${i}`);
      expect(decode(d, Buffer.concat([Buffer.from([0x40, name.length]), name, hex('0178')]))).toEqual([`name-${i}: x`]);
      expect(decode(d, hex(i >= 5 ? 'c3' : 'be'))).toEqual([`name-${i >= 5 ? i - 5 : i}: x`]);
    }
  });

  it('marks what a request may not have', () => {
    const kinds = (name: string, value: string): number => {
      const out: HeaderEntry[] = [];
      const bytes = Buffer.concat([
        Buffer.from([0, name.length]),
        Buffer.from(name, 'latin1'),
        Buffer.from([value.length]),
        Buffer.from(value, 'latin1'),
      ]);
      decoder().decode(bytes, 0, bytes.length, out);
      return (out[0] as HeaderEntry).kind;
    };
    for (const [name, value] of [
      ['Upper', 'x'],
      ['sp ace', 'x'],
      ['', 'x'],
      [':unknown', 'x'],
      ['connection', 'close'],
      ['te', 'gzip'],
      ['x', 'a\nb'],
      ['x', ' a'],
      ['content-length', '-1'],
    ] as const)
      expect([name, value, kinds(name, value)]).toEqual([name, value, FieldKind.bad]);
    expect(kinds('te', 'trailers')).toBe(FieldKind.regular);
    expect(kinds('x', 'tab\tinside')).toBe(FieldKind.regular);
  });
});

describe('encoder', () => {
  const blockOf = (write: (w: Writer) => void): Buffer => {
    const w = new Writer();
    write(w);
    return Buffer.from(w.finish());
  };

  it('is read back, and turns into indexes', () => {
    const e = new HpackEncoder();
    const d = decoder();
    const sizes: number[] = [];
    for (let i = 0; i < 3; i++) {
      const head = blockOf((w) => e.writeGrpcHeaders(w));
      const tail = blockOf((w) => e.writeGrpcOk(w));
      expect(decode(d, head)).toEqual([':status: 200', 'content-type: application/grpc']);
      expect(decode(d, tail)).toEqual(['grpc-status: 0']);
      const other = blockOf((w) =>
        e.writeFields(w, 415, [
          ['grpc-status', '3'],
          ['grpc-message', 'x'.repeat(300)],
        ]),
      );
      expect(decode(d, other)).toEqual([':status: 415', 'grpc-status: 3', `grpc-message: ${'x'.repeat(300)}`]);
      sizes.push(head.length, tail.length);
    }
    expect(sizes.slice(2)).toEqual([2, 1, 2, 1]);
  });

  it('survives answers without an end in between', () => {
    const e = new HpackEncoder();
    const d = decoder();
    for (let i = 0; i < 3; i++)
      expect(
        decode(
          d,
          blockOf((w) => e.writeGrpcHeaders(w)),
        ),
      ).toEqual([':status: 200', 'content-type: application/grpc']);
    for (let i = 0; i < 2; i++)
      expect(
        decode(
          d,
          blockOf((w) => e.writeGrpcOk(w)),
        ),
      ).toEqual(['grpc-status: 0']);
    expect(
      decode(
        d,
        blockOf((w) => e.writeGrpcHeaders(w)),
      ),
    ).toEqual([':status: 200', 'content-type: application/grpc']);
  });

  it.each([0, 60, 103, 104, 2_000])('keeps to a table of %i bytes', (size) => {
    const e = new HpackEncoder();
    const d = decoder();
    for (let i = 0; i < 4; i++) {
      if (i === 2) {
        e.setTableSize(size);
        e.setTableSize(4_096);
      }
      expect(
        decode(
          d,
          blockOf((w) => e.writeGrpcHeaders(w)),
        ),
      ).toEqual([':status: 200', 'content-type: application/grpc']);
      expect(
        decode(
          d,
          blockOf((w) => e.writeGrpcOk(w)),
        ),
      ).toEqual(['grpc-status: 0']);
    }
  });
});
