/** What clients may pile up in a member by cheap requests. Far above what anybody uses, far below what ends the process. */
export interface ServiceLimits {
  /** Watchers of one stream, and of the member; each takes about half a KiB. */
  readonly watchersPerStreamMax: number;
  readonly watchersMax: number;
  /** Leases of the cluster, looked at before a grant is proposed; each takes about a quarter of a KiB. */
  readonly leasesMax: number;
}

export const defaultServiceLimits: ServiceLimits = { watchersPerStreamMax: 250_000, watchersMax: 1_000_000, leasesMax: 2_000_000 };
