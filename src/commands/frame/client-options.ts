/** What the global flags say about the connection. */
import { readFileSync } from 'node:fs';
import type { ClientOptions } from '../../client/options.ts';
import type { ChannelTls } from '../../wire/channel-options.ts';
import { badArgs, CommandError, ExitCode } from './exit.ts';
import type { Flags } from './flags.ts';
import { ioText } from './io-text.ts';

/** The first request of a command may meet several members of which some are away: these are passed over at once. */
const requestBytesMax = 2 * 1024 * 1024;
const responseBytesMax = 2 ** 31 - 1;
/** `--dial-timeout=0` sets no limit of its own: gRPC then gives a connection this long. */
const unlimitedDialMs = 20_000;

/** Stands for an empty endpoint of a list: a name that nobody has (RFC 2606), so that calls to it run into their deadline as etcdctl's do. */
export const nowhere = 'endpoint.invalid:0';

/** @throws CommandError for unreadable files, contradicting flags, or no endpoints. */
export async function clientOptions(flags: Flags): Promise<ClientOptions> {
  // Node's HTTP/2 is a third of the start-up: commands that need no server do without.
  const { connectHttp2 } = await import('../../wire/http2-channel.ts');
  const endpoints = await endpointsOf(flags);
  const tls = tlsOf(flags);
  const login = await loginOf(flags);
  if (endpoints.length === 0 || (endpoints.length === 1 && endpoints[0] === ''))
    throw new CommandError(ExitCode.BadConnection, 'etcdclient: no available endpoints');
  const given = (name: string): number | undefined => (flags.int(name) > 0 ? flags.int(name) : undefined);
  return {
    endpoints: endpoints.map((e) => (e === '' ? nowhere : e)),
    ...login,
    tls,
    connect: connectHttp2,
    connectTimeoutMs: flags.duration('dial-timeout') > 0 ? flags.duration('dial-timeout') : unlimitedDialMs,
    keepaliveMs: flags.duration('keepalive-time'),
    keepaliveTimeoutMs: flags.duration('keepalive-timeout'),
    sendBytesMax: given('max-request-bytes') ?? requestBytesMax,
    receiveBytesMax: given('max-recv-bytes') ?? responseBytesMax,
  };
}

/** The endpoints as given, or as DNS has them. May be empty. */
export async function endpointsOf(flags: Flags): Promise<string[]> {
  const domain = flags.string('discovery-srv');
  if (domain !== '') {
    const { discoverEndpoints } = await import('./discovery.ts');
    return discoverEndpoints(domain, flags.string('discovery-srv-name'), flags.bool('insecure-discovery'));
  }
  return flags.strings('endpoints').map((e) => e.trim());
}

function fileFlag(flags: Flags, name: string): string {
  const value = flags.string(name);
  if (value === '' && flags.given(name)) throw badArgs(`empty string is passed to --${name} option`);
  return value;
}

/** Undefined without TLS. */
export function tlsOf(flags: Flags): ChannelTls | undefined {
  const cert = fileFlag(flags, 'cert');
  const key = fileFlag(flags, 'key');
  const ca = fileFlag(flags, 'cacert');
  return makeTls({
    cert,
    key,
    ca,
    insecureSkipVerify: flags.bool('insecure-skip-tls-verify'),
    insecureTransport: flags.bool('insecure-transport'),
  });
}

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly insecureSkipVerify: boolean;
  readonly insecureTransport: boolean;
}

/** @throws CommandError */
export function makeTls(files: TlsFiles): ChannelTls | undefined {
  const { cert, key, ca, insecureSkipVerify } = files;
  if (cert === '' && key === '' && ca === '') return insecureSkipVerify || !files.insecureTransport ? { insecureSkipVerify } : undefined;
  if ((cert === '') !== (key === '')) throw badArgs(`KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  const read = (name: string): Uint8Array => {
    try {
      return readFileSync(name);
    } catch (error) {
      throw badArgs(ioText(error));
    }
  };
  const certPem = cert === '' ? undefined : read(cert);
  const keyPem = key === '' ? undefined : read(key);
  if (certPem !== undefined && keyPem !== undefined) checkPair(certPem, keyPem);
  const caPem = ca === '' ? undefined : read(ca);
  // Every block has to be a certificate.
  if (caPem !== undefined && blockTypes(caPem).some((type) => type !== 'CERTIFICATE')) throw badArgs('x509: malformed tbs certificate');
  return { cert: certPem, key: keyPem, ca: caPem, insecureSkipVerify };
}

/** The types of the PEM blocks of a file, in order. */
function blockTypes(pem: Uint8Array): string[] {
  return [
    ...Buffer.from(pem)
      .toString('latin1')
      .matchAll(/^-----BEGIN ([A-Z0-9 ]+)-----\r?$/gm),
  ].map((m) => m[1] ?? '');
}

/** In the words of Go's `tls.X509KeyPair`. @throws CommandError */
function checkPair(cert: Uint8Array, key: Uint8Array): void {
  const certTypes = blockTypes(cert);
  const keyTypes = blockTypes(key);
  const isKey = (type: string | undefined): boolean => type?.endsWith('PRIVATE KEY') === true;
  if (!certTypes.includes('CERTIFICATE')) {
    if (certTypes.length === 0) throw badArgs('tls: failed to find any PEM data in certificate input');
    throw badArgs(
      certTypes.length === 1 && isKey(certTypes[0])
        ? 'tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched'
        : `tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${certTypes.join(' ')}]`,
    );
  }
  if (!keyTypes.some(isKey)) {
    if (keyTypes.length === 0) throw badArgs('tls: failed to find any PEM data in key input');
    throw badArgs(
      keyTypes.length === 1 && keyTypes[0] === 'CERTIFICATE'
        ? 'tls: found a certificate rather than a key in the PEM for the private key'
        : `tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${keyTypes.join(' ')}]`,
    );
  }
  // Loaded only here: certificates are the rare case.
  const { X509Certificate, createPrivateKey } = process.getBuiltinModule('node:crypto');
  let matches: boolean;
  try {
    matches = new X509Certificate(cert).checkPrivateKey(createPrivateKey(Buffer.from(key)));
  } catch (error) {
    throw badArgs(`tls: failed to parse certificate or key: ${(error as Error).message}`);
  }
  if (!matches) throw badArgs('tls: private key does not match public key');
}

async function loginOf(flags: Flags): Promise<{ username?: string; password?: string; token?: string }> {
  const user = flags.string('user');
  const token = flags.string('auth-jwt-token');
  if (token !== '') return { token };
  if (user === '') return {};
  const login = await splitUser(user, flags.string('password'));
  // As etcd's client: half a login is none.
  return login.username === '' || login.password === '' ? {} : login;
}

/** `name:password`, or a name whose password is given beside it or asked for. */
export async function splitUser(user: string, password: string): Promise<{ username: string; password: string }> {
  if (password !== '') return { username: user, password };
  const cut = user.indexOf(':');
  if (cut >= 0) return { username: user.slice(0, cut), password: user.slice(cut + 1) };
  const { askPassword } = await import('./password.ts');
  return { username: user, password: await askPassword('Password: ') };
}
