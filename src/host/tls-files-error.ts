/** Why TLS files keep a member from starting. Apart from their reader, so that a member without TLS does not load that. */

/** Files that keep a member from starting. */
export class TlsFilesError extends Error {
  readonly code = 'tls-files';
  /** What etcd logs with it. */
  readonly summary: string;

  constructor(message: string, summary = 'listener failed') {
    super(message);
    this.summary = summary;
  }
}
