/** One HTTP GET, with the client's certificates. */
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { asBuffer } from '../../base/bytes.ts';
import type { ChannelTls } from '../../wire/channel-options.ts';

/** Longest wait for an answer, ms. */
const timeoutMs = 10_000;

export function fetchText(url: string, tls: ChannelTls | undefined): Promise<string> {
  const pem = (b: Uint8Array | undefined): Buffer | undefined => (b === undefined ? undefined : asBuffer(b));
  return new Promise((resolve, reject) => {
    const options = url.startsWith('https:')
      ? { ca: pem(tls?.ca), cert: pem(tls?.cert), key: pem(tls?.key), rejectUnauthorized: tls?.insecureSkipVerify !== true }
      : {};
    const request = (url.startsWith('https:') ? httpsGet : httpGet)(url, { ...options, timeout: timeoutMs }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve(Buffer.concat(parts).toString('utf8')));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer from ${url} within ${timeoutMs / 1000} s`)));
    request.on('error', reject);
  });
}
