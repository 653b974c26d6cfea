// One metric: its series over time; a histogram as a heatmap with its quantiles; dots that open the trace they are of.
import { useMemo } from "preact/hooks";
import { Heatmap, heatmapGrid } from "../charts/heatmap";
import { lastKnown, LineChart, lineGrid, type Series } from "../charts/line";
import { Spark } from "../charts/spark";
import { useData, type Answer } from "../data";
import { clock, count, plural, text, unitFormat, type Format } from "../format";
import { Figure } from "../parts/figure";
import { Head, When } from "../parts/page";
import { Table } from "../parts/table";
import { narrowed } from "../parts/search";
import type { Exemplar, Metric } from "../types";
import { address, go, Link, set, usePlace } from "../url";
import { within } from "./models";

const TONES = ["now", "stage-2", "stage-3", "good", "bad-mark", "now-strong", "other", "fair"];
const STATS: Record<string, string> = {
  p50: "p50",
  p95: "p95",
  p99: "p99",
  mean: "Mean",
  rate: "Per second",
  value: "Value",
};
const EACH = "*"; // a line for every combination of attributes

export function MetricPage({ name }: { name: string }) {
  const { query } = usePlace();
  const [by, where, stat] = [query.get("by"), query.get("where"), query.get("stat")];
  const answer = useData<Metric>("/api/metric", { name, by, where, stat });
  const histogram = answer.data?.stats.includes("heatmap") ?? false;
  const heat = useData<Metric>("/api/metric", { name, by, where, stat: "heatmap" }, { skip: !histogram });
  const { data } = answer;
  const used = data?.stat ?? "value";
  const format = unitFormat(data?.unit ?? "", used === "rate");
  return (
    <>
      <Head
        title={name}
        answer={data?.series.length ? said(data, used, format, within(answer)) : undefined}
        exports={{ title: name, csv: answer.csv, json: answer.json }}
      />
      {data?.description && <p class="muted described">{data.description}</p>}
      <Choices name={name} data={data} stat={used} />
      <When answer={answer} empty={(found) => !found.series.length && !found.heatmap} signal={`points of ${name}`}>
        {(found) => (
          <>
            <Lines
              data={found}
              answer={answer}
              stat={used}
              format={format}
              exemplars={heat.data?.exemplars ?? found.exemplars ?? []}
            />
            {heat.data && <Distribution data={heat.data} />}
            <SeriesTable data={found} format={format} />
            <Exemplars data={heat.data?.exemplars ?? found.exemplars ?? []} format={unitFormat(found.unit)} />
          </>
        )}
      </When>
    </>
  );
}

function said(data: Metric, stat: string, format: Format, within: string): string {
  const last = data.series
    .map((each) => [each.label, lastKnown(each.values)] as const)
    .filter(([, value]) => value !== null);
  const most = last.sort((x, y) => (y[1] ?? 0) - (x[1] ?? 0))[0];
  const folded = data.folded ? `; ${count(data.folded)} more of smaller values are left out` : "";
  if (!most) return `Nothing ${within}.`;
  return last.length > 1
    ? `${plural(data.series.length, "series", "series")}${folded}; the highest ${stat} now is ${format(most[1])}, of ${most[0]}.`
    : `${stat === "value" ? "Now" : `The ${stat} now is`} ${format(most[1])}${folded}.`;
}

function Choices({ name, data, stat }: { name: string; data: Metric | null; stat: string }) {
  const { query } = usePlace();
  const by = query.get("by") ?? "";
  const whole = useData<Metric>("/api/metric", { name, by: EACH }, { still: true });
  const series = [...(data?.series ?? []), ...(whole.data?.series ?? [])];
  const options = [...new Set(series.flatMap((each) => Object.keys(each.attributes)))].sort();
  const [key = "", value = ""] = (query.get("where") ?? "").split(/=(.*)/s);
  return (
    <div class="filters">
      <select
        aria-label="Statistic"
        value={stat}
        onChange={(event) => set({ stat: (event.target as HTMLSelectElement).value })}
      >
        {(data?.stats ?? [stat])
          .filter((each) => each in STATS)
          .map((each) => (
            <option key={each} value={each}>
              {STATS[each]}
            </option>
          ))}
      </select>
      <select
        aria-label="Split by"
        value={by}
        onChange={(event) => set({ by: (event.target as HTMLSelectElement).value })}
      >
        <option value="">All together</option>
        <option value={EACH}>Each series</option>
        {by && by !== EACH && !options.includes(by) && <option value={by}>by {by}</option>}
        {options.map((each) => (
          <option key={each} value={each}>
            by {each}
          </option>
        ))}
      </select>
      {key && (
        <button type="button" class="toggle" aria-pressed="true" onClick={() => set({ where: null })}>
          {key} = {value} <span aria-hidden="true">✕</span>
        </button>
      )}
    </div>
  );
}

function Lines({
  data,
  answer,
  stat,
  format,
  exemplars,
}: {
  data: Metric;
  answer: Answer<Metric>;
  stat: string;
  format: Format;
  exemplars: Exemplar[];
}) {
  const series = useMemo(
    (): Series[] =>
      data.series
        .slice(0, TONES.length)
        .map((each, at) => ({ label: each.label || "all together", values: each.values, tone: TONES[at] ?? "other" })),
    [data],
  );
  const dots = stat === "rate" || stat === "value" ? [] : exemplars;
  const note = [
    stat,
    data.series.length > series.length ? `the first ${series.length} of ${data.series.length} series` : "",
    dots.length ? "a dot opens its trace" : "",
  ]
    .filter(Boolean)
    .join("; ");
  return (
    <Figure title="Over time" note={note} grid={() => lineGrid(data.t, data.series)}>
      <LineChart
        label={`${data.name} over time`}
        t={data.t}
        series={series}
        format={format}
        range={answer.range}
        height={220}
        dots={dots}
        onDot={(dot) => go(address(`/trace/${dot.trace_id}`))}
      />
    </Figure>
  );
}

function Distribution({ data }: { data: Metric }) {
  if (!data.heatmap?.t.length) return null;
  const { t, edges, counts } = data.heatmap;
  const format = unitFormat(data.unit);
  return (
    <Figure title="Distribution" note="stronger is more" grid={() => heatmapGrid(t, edges, counts, format)}>
      <Heatmap
        label={`Distribution of ${data.name} over time`}
        t={t}
        edges={edges}
        counts={counts}
        format={format}
        height={200}
      />
    </Figure>
  );
}

function SeriesTable({ data, format }: { data: Metric; format: Format }) {
  return (
    <section class="panel flush" aria-label="Series">
      <Table
        caption="Series"
        rows={data.series}
        id={(row, index) => `${row.label}${index}`}
        columns={[
          {
            name: "Series",
            wide: true,
            value: (row) => row.label,
            show: (row) => <Labels of={row.attributes} label={row.label} />,
          },
          { name: "Over time", narrow: true, show: (row) => <Spark values={row.values} fill={false} /> },
          {
            name: "Now",
            numeric: true,
            value: (row) => lastKnown(row.values),
            show: (row) => format(lastKnown(row.values)),
          },
        ]}
      />
    </section>
  );
}

function Labels({ of, label }: { of: Record<string, unknown>; label: string }) {
  const entries = Object.entries(of);
  if (!entries.length) return <>{label || "all together"}</>;
  return (
    <span class="labels">
      {entries.map(([key, value]) => (
        <button
          type="button"
          key={key}
          class="plain"
          title={`Only ${key}=${text(value)}`}
          onClick={() => set({ where: narrowed("", key, value) })}
        >
          <span class="muted">{key}=</span>
          {text(value)}
        </button>
      ))}
    </span>
  );
}

function Exemplars({ data, format }: { data: Exemplar[]; format: Format }) {
  if (!data.length) return null;
  const rows = [...data].sort((a, b) => b.value - a.value).slice(0, 20);
  return (
    <section class="panel flush" aria-label="Exemplars">
      <div class="caption">
        <h2>Exemplars</h2>
        <span class="muted note">requests behind these numbers, the largest first</span>
      </div>
      <Table
        caption="Exemplars"
        rows={rows}
        id={(row, index) => `${row.trace_id}${index}`}
        columns={[
          {
            name: "Trace",
            show: (row) => (
              <Link class="mono" data-row to={address(`/trace/${row.trace_id}`)}>
                {row.trace_id.slice(0, 8)}
              </Link>
            ),
          },
          { name: "Time", show: (row) => clock(row.time_ns / 1e6, true) },
          { name: "Of", wide: true, show: (row) => <span class="muted">{row.label}</span> },
          { name: "Value", numeric: true, show: (row) => format(row.value) },
        ]}
      />
    </section>
  );
}
