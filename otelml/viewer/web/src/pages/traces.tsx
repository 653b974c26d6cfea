// Which requests were slow or failed: every trace as a dot, then as a row.
import { useState } from "preact/hooks";
import { Scatter } from "../charts/scatter";
import { Share } from "../charts/spark";
import { useData } from "../data";
import { clock, count, plural, seconds } from "../format";
import { Figure } from "../parts/figure";
import { Head, Sign, When } from "../parts/page";
import { Search } from "../parts/search";
import { Table, type Column } from "../parts/table";
import type { TraceRow, Traces } from "../types";
import { address, go, Link, set, usePlace } from "../url";
import { modelPath, within } from "./models";

const FILTERS = ["q", "service", "model", "name", "errors", "min_s", "max_s", "cursor"];
const PAGE = 100;

export function TracesPage() {
  const { query } = usePlace();
  const filters = Object.fromEntries(FILTERS.map((key) => [key, query.get(key)]));
  const answer = useData<Traces>("/api/traces", { ...filters, limit: PAGE });
  return (
    <>
      <Head
        title="Traces"
        answer={answer.data ? said(answer.data, within(answer)) : undefined}
        exports={{ title: "Traces", csv: answer.csv, json: answer.json }}
      />
      <Filters slow={slowFrom(answer.data)} />
      <When
        answer={answer}
        empty={(data) => !data.traces.length && !data.next}
        signal={filtered(query) ? "traces that match" : "traces"}
        clear={filtered(query) ? clear : undefined}
      >
        {(data) => (
          <>
            <Figure
              title="Durations"
              note={`${drawn(data)}; a click opens it`}
              grid={() => dotGrid(data)}
            >
              <Scatter
                label={`Durations of ${count(data.scatter.length)} traces over time`}
                dots={data.scatter}
                range={answer.range}
                onOpen={(id) => go(address(`/trace/${id}`))}
              />
            </Figure>
            <Rows data={data} />
          </>
        )}
      </When>
    </>
  );
}

function filtered(query: URLSearchParams): boolean {
  return FILTERS.some((key) => query.get(key));
}

function clear(): void {
  set(Object.fromEntries(FILTERS.map((key) => [key, null])));
}

function said(data: Traces, within: string): string | undefined {
  if (!data.total) return undefined;
  const failed = data.scatter.filter((dot) => dot[2]).length;
  const slowest = data.scatter.reduce((most, dot) => Math.max(most, dot[1]), 0);
  const whole = data.scatter.length >= data.total;
  const errors = failed
    ? `${whole ? "" : "at least "}${plural(failed, "trace")} with errors`
    : whole
      ? "none with errors"
      : "no errors among those drawn";
  return `${plural(data.total, "trace")} ${within}, ${errors}; the slowest ${data.share < 1 ? "of those drawn " : ""}took ${seconds(slowest)}.`;
}

function drawn(data: Traces): string {
  if (!data.total) return "none found so far";
  if (data.scatter.length >= data.total) return "every trace";
  const looked = data.share < 1 ? ` of one span in ${count(Math.round(1 / data.share))}` : "";
  return `${count(data.scatter.length)} of ${count(data.total)}, the slowest${looked} kept`;
}

/** What counts as slow: the slowest twentieth of what is drawn. */
function slowFrom(data: Traces | null): number | null {
  const lengths = (data?.scatter ?? []).map((dot) => dot[1]).sort((a, b) => a - b);
  const at = lengths[Math.floor(lengths.length * 0.95)];
  return at === undefined ? null : Number(at.toPrecision(2));
}

function Filters({ slow }: { slow: number | null }) {
  const { query } = usePlace();
  const [errors, least, model] = [query.get("errors"), query.get("min_s"), query.get("model")];
  return (
    <div class="filters">
      <Search
        signal="traces"
        label="Search traces"
        example="model=delay status=error duration>50ms http.route~predict"
      />
      <button
        type="button"
        class="toggle"
        aria-pressed={!!errors}
        onClick={() => set({ errors: errors ? null : 1, cursor: null })}
        title="Errors only (e)"
      >
        Errors only
      </button>
      <button
        type="button"
        class="toggle"
        aria-pressed={!!least}
        disabled={!least && slow === null}
        onClick={() => set({ min_s: least ? null : slow, cursor: null })}
      >
        {least ? `Slow only: from ${seconds(Number(least))}` : "Slow only"}
      </button>
      {model && (
        <button type="button" class="toggle" aria-pressed="true" onClick={() => set({ model: null, cursor: null })}>
          {model} <span aria-hidden="true">✕</span>
        </button>
      )}
    </div>
  );
}

function dotGrid(data: Traces) {
  return {
    columns: ["time", "duration (s)", "error", "trace"],
    rows: data.scatter.map(([start, length, error, id]) => [new Date(start / 1e6).toISOString(), length, error, id]),
  };
}

function Rows({ data }: { data: Traces }) {
  const [picked, setPicked] = useState<string[]>([]);
  const longest = Math.max(...data.traces.map((each) => each.duration_s), 1e-9);
  const pick = (id: string) =>
    setPicked((old) => (old.includes(id) ? old.filter((each) => each !== id) : [...old.slice(-1), id]));
  const columns: Column<TraceRow>[] = [
    {
      name: "Time",
      value: (row) => row.start_ns,
      show: (row) => <span class="muted">{clock(row.start_ns / 1e6, true)}</span>,
    },
    {
      name: "Trace",
      wide: true,
      value: (row) => row.name,
      show: (row) => (
        <>
          <Link to={address(`/trace/${row.trace_id}`)} data-row class="name">
            {row.name || "(no name)"}
          </Link>{" "}
          <span class="muted sub">{row.services.join(", ") || row.service}</span>
        </>
      ),
    },
    {
      name: "Model",
      narrow: true,
      value: (row) => `${row.model} ${row.version}`,
      show: (row) =>
        row.model && (
          <Link class="one-line" to={address(modelPath(row.model, row.version ?? ""))}>
            {`${row.model} ${row.version ?? ""}`.trim()}
          </Link>
        ),
    },
    { name: "Spans", numeric: true, narrow: true, value: (row) => row.spans, show: (row) => count(row.spans) },
    {
      name: "Errors",
      numeric: true,
      narrow: true,
      value: (row) => row.errors,
      show: (row) => (row.errors ? <Sign of="bad">{count(row.errors)}</Sign> : <span class="muted">0</span>),
    },
    {
      name: "Length",
      narrow: true,
      show: (row) => <Share of={row.duration_s / longest} tone={row.errors ? "bad-mark" : "now"} />,
    },
    { name: "Duration", numeric: true, value: (row) => row.duration_s, show: (row) => seconds(row.duration_s) },
    {
      name: "Pick",
      narrow: true,
      show: (row) => (
        <input
          type="checkbox"
          aria-label={`Compare ${row.name} of ${clock(row.start_ns / 1e6, true)}`}
          checked={picked.includes(row.trace_id)}
          onChange={() => pick(row.trace_id)}
        />
      ),
    },
  ];
  return (
    <section class="panel flush" aria-label="Traces">
      <Table
        caption="Traces"
        columns={columns}
        rows={data.traces}
        id={(row) => row.trace_id}
        tone={(row) => (row.errors ? "failed" : undefined)}
      />
      <p class="under">
        {picked.length === 2 ? (
          <Link class="button" to={address("/compare-traces", { a: picked[0], b: picked[1] })}>
            Compare the two
          </Link>
        ) : (
          <span class="muted narrow">Pick two to compare them.</span>
        )}
        <Pages next={data.next} shown={data.traces.length} total={data.total} />
      </p>
    </section>
  );
}

export function Pages({ next, shown, total }: { next: string | number | null; shown: number; total: number }) {
  const { query } = usePlace();
  return (
    <span class="pages">
      <span class="muted">
        {count(shown)} of {count(total)}
      </span>
      {query.get("cursor") && (
        <button type="button" class="button" onClick={() => set({ cursor: null })}>
          Newest
        </button>
      )}
      {next !== null && next !== undefined && next !== "" && (
        <button type="button" class="button" onClick={() => set({ cursor: next })}>
          Older
        </button>
      )}
    </span>
  );
}
