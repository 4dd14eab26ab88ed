import { describe, expect, it } from 'vitest';
import { getCiphers } from 'node:tls';
import { buildConfig } from '../../../src/server/config/build-config.ts';
import { readOptions } from '../../../src/server/config/options.ts';
import { cipherList } from '../../../src/server/config/tls.ts';

const noFile = (): never => {
  throw new Error('no file');
};
function build(argv: readonly string[]) {
  return buildConfig(readOptions({ argv, env: {}, readFile: noFile, parseYaml: noFile }));
}
const secure = ['--listen-client-urls=https://127.0.0.1:1', '--advertise-client-urls=https://127.0.0.1:1'];

describe('TLS flags', () => {
  it('S-022: offers forward secrecy and authenticated encryption alone by default', () => {
    const names = cipherList([]).split(':');
    expect(names.every((n) => /^(TLS_|ECDHE-)/.test(n) && /GCM|CHACHA20/.test(n))).toBe(true);
    for (const name of names) expect(getCiphers()).toContain(name.toLowerCase());
  });

  it.each([
    [['--tls-min-version=TLS1.1'], 'unexpected TLS version "TLS1.1" (must be one of: TLS1.2, TLS1.3)'],
    [['--tls-min-version=TLS1.3', '--tls-max-version=TLS1.2'], 'min version (TLS1.3) is greater than max version (TLS1.2)'],
    [
      ['--tls-min-version=TLS1.3', '--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'],
      'cipher suites cannot be configured when only TLS1.3 is enabled',
    ],
    [['--cipher-suites=FOO'], 'unexpected TLS cipher suite "FOO"'],
    [['--cipher-suites=TLS_RSA_WITH_RC4_128_SHA'], 'TLS cipher suite "TLS_RSA_WITH_RC4_128_SHA" is not supported by this build'],
    [secure, 'TLS key/cert (--cert-file, --key-file) must be provided for client url https://127.0.0.1:1 with HTTPS scheme'],
    [
      ['--listen-metrics-urls=https://127.0.0.1:2'],
      'client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url',
    ],
  ])('refuses %j', (argv, message) => {
    expect(() => build(argv)).toThrow(message);
  });

  it('wants a suite that HTTP/2 demands', () => {
    expect(() => build(['--cipher-suites=TLS_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_128_CBC_SHA'])).toThrow(/HTTP\/2-required/);
    const { config } = build(['--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256']);
    expect(config.cipherList.split(':').at(-1)).toBe('ECDHE-ECDSA-AES128-GCM-SHA256');
  });

  it('S-099: says what it leaves aside', () => {
    const { remarks, config } = build(['--cert-file=c', '--key-file=k', '--client-cert-auth', '--auto-tls', '--tls-max-version=TLS1.2']);
    expect(remarks.map((r) => r.message)).toEqual(
      expect.arrayContaining([
        'ignoring client auto TLS since certs given',
        'scheme is http or unix while key and cert files are present; ignoring key and cert files',
        'scheme is http or unix while --client-cert-auth is enabled; ignoring client cert auth for this URL',
      ]),
    );
    expect(config).toMatchObject({
      tlsMinVersion: 'TLSv1.2',
      tlsMaxVersion: 'TLSv1.2',
      clientTls: { certFile: 'c', clientCertAuth: true },
    });
  });
});
