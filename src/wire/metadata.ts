/** Request metadata out of HTTP/2 headers. */
import type { Metadata } from './call.ts';
import type { HeaderField } from './server-call.ts';

/** A `-bin` header that is not base64. The text is grpc-go's. */
export class BadBinaryMetadata extends Error {
  readonly code = 'bad-binary-metadata';
}

/** Headers that belong to the transport: handlers do not see them. */
const reserved = new Set([
  'te',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'grpc-message-type',
  'grpc-status',
  'grpc-message',
]);

/** @throws BadBinaryMetadata */
export function metadataOf(authority: string, fields: readonly HeaderField[]): Metadata {
  const out = new Map<string, (string | Uint8Array)[]>();
  if (authority !== '') out.set(':authority', [authority]);
  for (const { name, value } of fields) {
    if (reserved.has(name)) continue;
    let values = out.get(name);
    if (values === undefined) out.set(name, (values = []));
    if (!name.endsWith('-bin')) values.push(value);
    else for (const one of value.split(',')) values.push(decodeBinary(name, one.trim()));
  }
  return out;
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Standard base64, padded or not. @throws BadBinaryMetadata */
export function decodeBinary(name: string, value: string): Uint8Array {
  const digits = value.replace(/=+$/, '').length;
  if (!base64.test(value) || digits % 4 === 1) {
    const at = value.search(/[^A-Za-z0-9+/]/);
    throw new BadBinaryMetadata(
      `malformed binary metadata ${JSON.stringify(value)} in header ${JSON.stringify(name)}: ` +
        `illegal base64 data at input byte ${at < 0 ? digits : at}`,
    );
  }
  return Buffer.from(value, 'base64');
}
