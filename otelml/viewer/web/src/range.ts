// The time range of a page: the last while, which is live, or from here to there, which stands still.
import { place, set } from "./url";

export interface Range {
  live: boolean;
  last: string;
  from: number; // milliseconds since the epoch
  to: number;
}

export const CHOICES: [string, string][] = [
  ["5m", "Last 5 minutes"],
  ["15m", "Last 15 minutes"],
  ["1h", "Last hour"],
  ["6h", "Last 6 hours"],
  ["24h", "Last 24 hours"],
  ["7d", "Last 7 days"],
];
const UNITS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
const DEFAULT = "15m";

export function length(last: string): number {
  const found = /^(\d+)([smhd])$/.exec(last);
  return found ? Number(found[1]) * (UNITS[found[2] ?? "m"] ?? 6e4) : 9e5;
}

function milliseconds(text: string | null): number | null {
  return text && /^\d{10,19}$/.test(text) ? Number(text) / 1e6 : null;
}

/** The store's clock, and when its first and latest telemetry is of, in milliseconds. */
export interface Clock {
  now: number;
  first: number | null;
  latest: number | null;
}

const [BEFORE, LEAST] = [10_000, 60_000];

/** The range that the address asks for. One that follows begins where the telemetry does, not in the void before it. */
export function range(query: URLSearchParams, clock: Clock): Range {
  const { now, first, latest } = clock;
  const from = milliseconds(query.get("from"));
  const to = milliseconds(query.get("to"));
  if (from !== null && to !== null && to > from) return { live: false, last: "", from, to };
  const asked = query.get("last") ?? DEFAULT;
  const last = /^\d+[smhd]$/.test(asked) ? asked : DEFAULT;
  const from0 = now - length(last);
  if (first === null || latest === null) return { live: true, last, from: from0, to: now };
  // A file of last week, opened without a range, is shown whole.
  if (latest < from0 && !query.get("last")) return { live: true, last, from: first - 1000, to: latest + 1000 };
  return { live: true, last, from: Math.max(from0, Math.min(first - BEFORE, now - LEAST)), to: now };
}

/** Milliseconds as whole nanoseconds: a JavaScript number would round them. */
export function nanoseconds(time: number): string {
  return (BigInt(Math.round(time * 1e3)) * 1000n).toString();
}

export function follow(last: string): void {
  set({ last: last === DEFAULT ? null : last, from: null, to: null, cursor: null });
}

export function stand(from: number, to: number): void {
  set({ last: null, from: nanoseconds(from), to: nanoseconds(to), cursor: null });
}

export function isLive(query = place().query): boolean {
  return range(query, { now: 0, first: null, latest: null }).live;
}
