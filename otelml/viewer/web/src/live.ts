// What the store has received: asked every second, so that pages ask again only when something arrived.
import { useEffect, useState } from "preact/hooks";
import { get, Refused } from "./api";
import type { Clock } from "./range";
import type { Version } from "./types";

export interface Pulse {
  version: Version | null;
  refused: Refused | null;
}

const EVERY = 1000;
const listeners = new Set<(pulse: Pulse) => void>();
let pulse: Pulse = { version: null, refused: null };
let started = false;

async function beat(): Promise<void> {
  if (!document.hidden) {
    const before = pulse;
    try {
      const version = await get<Version>("/api/version");
      const same = before.version && !before.refused && before.version.arrivals === version.arrivals;
      pulse = same ? before : { version, refused: null };
    } catch (error) {
      if (error instanceof Refused) pulse = { version: before.version, refused: error };
    }
    if (pulse !== before) for (const listener of listeners) listener(pulse);
  }
  window.setTimeout(beat, EVERY);
}

/** The latest pulse; the component is drawn again when something arrived, or when the store was lost or found. */
export function usePulse(): Pulse {
  const [now, set] = useState(pulse);
  useEffect(() => {
    listeners.add(set);
    set(pulse);
    if (!started) {
      started = true;
      void beat();
    }
    return () => void listeners.delete(set);
  }, []);
  return now;
}

/** The store's clock: its times are compared with nothing else. */
export function clock(): Clock {
  const { now_ns, first_ns, last_ns } = pulse.version ?? { now_ns: Date.now() * 1e6, first_ns: null, last_ns: null };
  return {
    now: now_ns / 1e6,
    first: first_ns === null ? null : first_ns / 1e6,
    latest: last_ns === null ? null : last_ns / 1e6,
  };
}

/** The store's time in milliseconds. */
export function now(): number {
  return clock().now;
}
