/** Words for handshakes that failed: what operators know from etcd's log in place of OpenSSL's. */

const words = new Map([
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'tls: client offered only unsupported versions'],
  ['ERR_SSL_HTTP_REQUEST', 'tls: first record does not look like a TLS handshake'],
  ['ERR_SSL_HTTPS_PROXY_REQUEST', 'tls: first record does not look like a TLS handshake'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls: first record does not look like a TLS handshake'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'tls: first record does not look like a TLS handshake'],
  ['ERR_SSL_NO_SHARED_CIPHER', 'tls: no cipher suite supported by both client and server'],
  ['ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM', "tls: peer doesn't support any of the certificate's signature algorithms"],
  ['ERR_SSL_ALERT_UNKNOWN_CA', 'remote error: tls: unknown certificate authority'],
  ['ERR_SSL_ALERT_BAD_CERTIFICATE', 'remote error: tls: bad certificate'],
  ['ERR_SSL_ALERT_CERTIFICATE_REVOKED', 'remote error: tls: revoked certificate'],
  ['ERR_SSL_ALERT_CERTIFICATE_REQUIRED', 'remote error: tls: certificate required'],
  ['ERR_SSL_ALERT_HANDSHAKE_FAILURE', 'remote error: tls: handshake failure'],
  ['ERR_SSL_ALERT_CERTIFICATE_UNKNOWN', 'remote error: tls: unknown certificate'],
  ['ERR_SSL_ALERT_CERTIFICATE_EXPIRED', 'remote error: tls: expired certificate'],
  ['ERR_SSL_ALERT_PROTOCOL_VERSION', 'remote error: tls: protocol version not supported'],
  ['ERR_TLS_HANDSHAKE_TIMEOUT', 'tls: handshake timed out'],
  ['ECONNRESET', 'EOF'],
]);

export function handshakeError(error: Error): string {
  // OpenSSL 3.0 names the version in which an alert was new, OpenSSL 3.5 says "SSL/TLS" for the oldest.
  const code = ((error as NodeJS.ErrnoException).code ?? '').replace(/^ERR_SSL_(?:SSLV3|TLSV1|TLSV13|SSL\/TLS)_ALERT_/, 'ERR_SSL_ALERT_');
  return words.get(code) ?? error.message.trim();
}
