/** The TLS of a member's two sides: their files, and a certificate of its own making when it is asked for one. Loaded only where there is TLS. */
import { TlsFiles } from '../host/tls-files.ts';
import { TlsFilesError } from '../host/tls-files-error.ts';
import type { Log } from '../base/log.ts';
import type { ServerConfig } from './config/config.ts';
import type { TlsConfig } from './config/tls.ts';
import { addressText } from './http/addresses.ts';

/** @throws TlsFilesError when the files cannot be used */
export async function clientTls(config: ServerConfig, log: Log): Promise<TlsFiles> {
  const urls = [...config.listenClientUrls, ...config.listenClientHttpUrls];
  return open(config, config.clientTls, 'client', urls, log);
}

/** @throws TlsFilesError when the files cannot be used */
export async function peerTls(config: ServerConfig, log: Log): Promise<TlsFiles> {
  try {
    return await open(config, config.peerTls, 'peer', config.listenPeerUrls, log);
  } catch (error) {
    // Where etcd has it too: its peer listeners are made first.
    if (error instanceof TlsFilesError && error.summary === 'listener failed') throw new TlsFilesError(error.message, 'discovery failed');
    throw error;
  }
}

async function open(config: ServerConfig, tls: TlsConfig, side: 'client' | 'peer', urls: readonly string[], log: Log): Promise<TlsFiles> {
  let paths = tls;
  const made = tls.auto && tls.certFile === '' && tls.keyFile === '';
  if (made) {
    try {
      const { selfSigned } = await import('../host/self-signed.ts');
      const hosts = urls.map(addressText);
      const files = await selfSigned(`${config.dataDir}/fixtures/${side}`, hosts, config.selfSignedCertValidityYears, log, Date.now());
      paths = { ...tls, ...files, clientCertFile: files.certFile, clientKeyFile: files.keyFile };
    } catch (error) {
      throw new TlsFilesError((error as Error).message, `failed to get ${side} self-signed certs`);
    }
  }
  log.info(`starting with ${side} TLS`, { 'tls-info': describe(paths), 'cipher-suites': config.cipherSuites });
  return new TlsFiles({
    ...paths,
    ciphers: config.cipherList,
    minVersion: config.tlsMinVersion,
    maxVersion: config.tlsMaxVersion,
    selfSigned: made,
    log,
  });
}

function describe(tls: TlsConfig): string {
  return `cert = ${tls.certFile}, key = ${tls.keyFile}, client-cert=${tls.clientCertFile}, client-key=${tls.clientKeyFile}, trusted-ca = ${tls.trustedCaFile}, client-cert-auth = ${tls.clientCertAuth}, crl-file = ${tls.crlFile}`;
}
