/** Sizes for people, as etcd's log and tables have them. */

/** Bytes in decimal units with at most two significant digits below 10: `20 kB`, `2.1 GB`. */
export function humanBytes(bytes: number): string {
  if (bytes < 10) return `${bytes} B`;
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3 + 1e-12));
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10;
  // Go rounds a half to the even side.
  const whole = value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value);
  return `${value < 10 ? value.toFixed(1) : whole} ${units[power]}`;
}
