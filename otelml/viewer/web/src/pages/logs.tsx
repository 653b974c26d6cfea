// What was said, the newest first: live until paused, searched by any attribute, each line a step from its trace.
import { useEffect, useRef, useState } from "preact/hooks";
import { LineChart, lineGrid, type Series } from "../charts/line";
import { get } from "../api";
import { useData } from "../data";
import { clock, count, number, plural, text } from "../format";
import { usePulse } from "../live";
import { Figure } from "../parts/figure";
import { Head, Sign, When } from "../parts/page";
import { narrowed, Search } from "../parts/search";
import { Attributes } from "../parts/table";
import type { Range } from "../range";
import type { Log, Logs } from "../types";
import { address, Link, set, usePlace } from "../url";
import { within } from "./models";
import { Pages } from "./traces";

const FILTERS = ["q", "severity", "service", "event", "trace_id", "cursor"];
const PAGE = 200;

export function LogsPage() {
  const { query } = usePlace();
  const filters = Object.fromEntries(FILTERS.map((key) => [key, query.get(key)]));
  const answer = useData<Logs>("/api/logs", { ...filters, limit: PAGE });
  const { data } = answer;
  const narrow = FILTERS.some((key) => query.get(key));
  return (
    <>
      <Head
        title="Logs"
        answer={data ? said(data, within(answer)) : undefined}
        exports={{ title: "Logs", csv: answer.csv, json: answer.json }}
      />
      <Filters />
      <When
        answer={answer}
        empty={(found) => !found.logs.length}
        signal={narrow ? "logs that match" : "logs"}
        clear={narrow ? clear : undefined}
      >
        {(found) => (
          <>
            <Counts data={found} range={answer.range} />
            <List data={found} filters={filters} live={answer.range.live && !query.get("cursor")} />
          </>
        )}
      </When>
    </>
  );
}

function clear(): void {
  set(Object.fromEntries(FILTERS.map((key) => [key, null])));
}

const LEVELS: [string, string][] = [
  ["", "Any severity"],
  ["debug", "DEBUG and above"],
  ["info", "INFO and above"],
  ["warn", "WARN and above"],
  ["error", "ERROR and above"],
];

function errorsIn(data: Logs): number {
  const rows = Object.entries(data.counts?.by_severity ?? {}).filter(([name]) => /^(error|fatal|critical)/i.test(name));
  return rows.reduce((sum, [, values]) => sum + values.reduce<number>((total, each) => total + (each ?? 0), 0), 0);
}

function said(data: Logs, within: string): string | undefined {
  if (!data.total) return undefined;
  const errors = errorsIn(data);
  return `${plural(data.total, "line")} ${within}${data.counts ? `, ${errors ? `${count(errors)} of them errors` : "none an error"}` : ""}.`;
}

function Filters() {
  const { query } = usePlace();
  const trace = query.get("trace_id");
  return (
    <div class="filters">
      <Search signal="logs" label="Search logs" example="severity=ERROR ml.model.name=delay words of the line" />
      <select
        aria-label="Severity"
        value={query.get("severity") ?? ""}
        onChange={(event) => set({ severity: (event.target as HTMLSelectElement).value, cursor: null })}
      >
        {LEVELS.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
      {trace && (
        <button type="button" class="toggle" aria-pressed="true" onClick={() => set({ trace_id: null, cursor: null })}>
          trace {trace.slice(0, 8)} <span aria-hidden="true">✕</span>
        </button>
      )}
    </div>
  );
}

const ORDER = ["fatal", "error", "warn", "info", "debug", "trace"];

function level(name: string): string {
  const found = ORDER.find((each) => name.toLowerCase().startsWith(each));
  return found === "fatal" || found === "error"
    ? "bad-mark"
    : found === "warn"
      ? "fair"
      : found === "info"
        ? "now"
        : "other";
}

function Counts({ data, range }: { data: Logs; range: Range }) {
  if (!data.counts?.t.length) return null;
  const { t, by_severity } = data.counts;
  const series: Series[] = Object.entries(by_severity).map(([name, values]) => ({
    label: name || "unset",
    values,
    tone: level(name),
    fill: true,
  }));
  return (
    <Figure title="Lines over time" note="by severity" grid={() => lineGrid(t, series)}>
      <LineChart
        label="Log lines over time by severity"
        t={t}
        series={series}
        format={number}
        range={range}
        height={90}
      />
    </Figure>
  );
}

/** Lines that arrived after the page was asked for are put on top; paused, they are only counted. */
function useTail(
  data: Logs,
  filters: Record<string, string | null>,
  live: boolean,
): { logs: Log[]; waiting: number; paused: boolean; pause: () => void } {
  const { version } = usePulse();
  const [kept, keep] = useState<Logs | null>(null);
  const [waiting, setWaiting] = useState(0);
  const shown = kept ?? data;
  const last = shown.logs[0]?.id;
  const asking = useRef(false);
  useEffect(() => {
    if (!kept || !live || last === undefined || asking.current) return;
    asking.current = true;
    get<Logs>("/api/logs", { ...filters, tail_after: last, limit: PAGE })
      .then((more) => setWaiting(more.logs.length))
      .catch(() => undefined)
      .finally(() => {
        asking.current = false;
      });
  }, [version?.arrivals, kept]);
  return {
    logs: shown.logs,
    waiting,
    paused: kept !== null,
    pause: () => {
      setWaiting(0);
      keep(kept ? null : data);
    },
  };
}

function List({ data, filters, live }: { data: Logs; filters: Record<string, string | null>; live: boolean }) {
  const tail = useTail(data, filters, live);
  const [open, setOpen] = useState<Log["id"] | null>(null);
  return (
    <section class="panel flush" aria-label="Lines">
      <div class="caption">
        <h2>Lines</h2>
        <span class="muted note">newest first{tail.paused ? ", paused" : ""}</span>
        {live && (
          <button type="button" class="toggle small-toggle" aria-pressed={tail.paused} onClick={tail.pause}>
            {tail.paused
              ? `Paused: ${tail.waiting >= PAGE ? `${PAGE} or more` : count(tail.waiting)} new`
              : "Pause the tail"}
          </button>
        )}
      </div>
      <ol class="logs">
        {tail.logs.map((log) => (
          <Line
            key={String(log.id)}
            log={log}
            open={log.id === open}
            onOpen={() => setOpen(log.id === open ? null : log.id)}
          />
        ))}
      </ol>
      <p class="under">
        <Pages next={data.next} shown={tail.logs.length} total={data.total} />
      </p>
    </section>
  );
}

function Line({ log, open, onOpen }: { log: Log; open: boolean; onOpen: () => void }) {
  const { query } = usePlace();
  const pick = (key: string, value: unknown) => set({ q: narrowed(query.get("q") ?? "", key, value), cursor: null });
  const severity = log.severity_text || String(log.severity || "");
  return (
    <li class={open ? "open" : undefined}>
      <div class="log">
        <span class="muted time">{clock(log.time_ns / 1e6, true)}</span>
        <span class="level">
          {log.severity >= 13 ? (
            <Sign of={log.severity >= 17 ? "bad" : "fair"}>{severity}</Sign>
          ) : (
            <span class="muted">{severity}</span>
          )}
        </span>
        <button type="button" class="plain body" data-row aria-expanded={open} onClick={onOpen}>
          {log.event_name && <span class="event-name">{log.event_name} </span>}
          {text(log.body)}
          {!log.body && !log.event_name && <span class="muted">(empty)</span>}
        </button>
        <span class="muted small service">{log.service}</span>
        {log.trace_id ? (
          <Link
            class="mono small"
            to={address(`/trace/${log.trace_id}`, { span: log.span_id })}
            aria-label={`Trace ${log.trace_id.slice(0, 8)}`}
          >
            {log.trace_id.slice(0, 8)}
          </Link>
        ) : (
          <span />
        )}
      </div>
      {open && (
        <div class="log-detail">
          <Attributes of={log.attributes} onPick={pick} />
          <h3>Resource</h3>
          <Attributes of={log.resource} onPick={pick} />
        </div>
      )}
    </li>
  );
}
