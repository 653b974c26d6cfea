// One question of a page, asked again when its parameters change, and in live mode when something arrived.
import { useEffect, useRef, useState } from "preact/hooks";
import { get, Refused, url, type Parameters } from "./api";
import { clock, usePulse } from "./live";
import { nanoseconds, range, type Range } from "./range";
import { usePlace } from "./url";

export interface Answer<T> {
  data: T | null;
  refused: Refused | null;
  range: Range; // of the data shown
  csv: string; // the same question, answered as a table
  json: string;
}

const LEAST = 1000; // ms between two askings; more when the answer takes long

/** Asks one question at a time, again after it was poked, and never more often than answers can be made. */
class Line {
  private readonly stop = new AbortController();
  private busy = false;
  private again = false;
  private next = 0;
  private timer = 0;

  constructor(private readonly ask: (signal: AbortSignal) => Promise<void>) {}

  poke(): void {
    this.again = true;
    if (this.busy || this.stop.signal.aborted) return;
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.run(), Math.max(0, this.next - performance.now()));
  }

  end(): void {
    window.clearTimeout(this.timer);
    this.stop.abort();
  }

  private async run(): Promise<void> {
    const began = performance.now();
    [this.busy, this.again] = [true, false];
    await this.ask(this.stop.signal);
    this.busy = false;
    this.next = performance.now() + Math.max(LEAST, 3 * (performance.now() - began));
    if (this.again) this.poke();
  }
}

export function useRange(): Range {
  usePulse();
  return range(usePlace().query, clock());
}

interface Options {
  timeless?: boolean; // the question has no time range
  still?: boolean; // not to be asked again when something arrives
  skip?: boolean;
}

/** Keeps the former answer on the page until the next is there: nothing flickers. */
export function useData<T>(path: string, parameters: Parameters = {}, options: Options = {}): Answer<T> {
  const { query } = usePlace();
  const pulse = usePulse();
  const asked = range(query, { now: 0, first: null, latest: null });
  const key = url(path, {
    ...parameters,
    range: options.timeless ? "" : asked.live ? asked.last : `${asked.from}-${asked.to}`,
  });
  const again = options.still || (!asked.live && !options.timeless) ? 0 : (pulse.version?.arrivals ?? 0);
  const ready = pulse.version !== null && !options.skip;
  const [answer, set] = useState<{
    key: string;
    data: T | null;
    refused: Refused | null;
    asked: Parameters;
    range: Range;
  } | null>(null);
  const line = useRef<Line | null>(null);

  useEffect(() => {
    if (!ready) return;
    const ask = async (signal: AbortSignal) => {
      const limits = range(query, clock());
      const times = options.timeless ? {} : { from: nanoseconds(limits.from), to: nanoseconds(limits.to) };
      const all = { ...parameters, ...times };
      try {
        const data = await get<T>(path, all, signal);
        set({ key, data, refused: null, asked: all, range: limits });
      } catch (error) {
        if (!(error instanceof Refused)) return;
        set((old) => ({ key, data: old?.key === key ? old.data : null, refused: error, asked: all, range: limits }));
      }
    };
    line.current = new Line(ask);
    line.current.poke();
    return () => line.current?.end();
  }, [key, ready]);
  useEffect(() => line.current?.poke(), [again]);

  const limits = answer?.range ?? range(query, clock());
  const fresh = answer !== null && sameQuestion(answer.key, key);
  return {
    data: fresh ? answer.data : null,
    refused: fresh ? answer.refused : null,
    range: limits,
    csv: url(path, { ...answer?.asked, format: "csv" }),
    json: url(path, { ...answer?.asked }),
  };
}

/** Answers of another range or page are shown until theirs come; those of another path are not. */
function sameQuestion(one: string, other: string): boolean {
  return one.split("?")[0] === other.split("?")[0];
}
