/** One side's certificates, and whom it lets in. */
export interface TlsSide {
  /** Paths; empty: none. */
  readonly certFile: string;
  readonly keyFile: string;
  /** What is shown when this side is the client; `certFile` when empty. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  readonly trustedCaFile: string;
  readonly crlFile: string;
  readonly clientCertAuth: boolean;
  readonly allowedCommonNames: readonly string[];
  readonly allowedHostnames: readonly string[];
}
