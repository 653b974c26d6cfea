// The parts of a model's page that machine learning adds: classes, confidence, drift, missing values, quality, GPU.
import { Bars, binName } from "../charts/bars";
import { Heatmap, heatmapGrid, peak } from "../charts/heatmap";
import { lastKnown, LineChart, lineGrid, type Series } from "../charts/line";
import { Share, Spark } from "../charts/spark";
import { bytes, count, number, plural, seconds, share, unitFormat, type Format } from "../format";
import { Figure, GridTable, Panel } from "../parts/figure";
import { Export, type Grid } from "../parts/export";
import { Sign } from "../parts/page";
import { Table } from "../parts/table";
import type { Range } from "../range";
import type { Drift, Gpu, Model, Values } from "../types";
import { useRef, useState } from "preact/hooks";

export function Classes({ data }: { data: Model }) {
  if (!data.classes?.length) return null;
  const total = data.classes.reduce((sum, each) => sum + each.rows, 0) || 1;
  return (
    <Panel title="Class mix" note={`what it answered, of ${plural(total, "row")}`}>
      <Table
        caption="Class mix"
        rows={data.classes}
        id={(row) => row.class}
        columns={[
          { name: "Class", wide: true, show: (row) => row.class || "(none)", value: (row) => row.class },
          { name: "Share", show: (row) => <Share of={row.rows / total} />, value: (row) => row.rows },
          { name: "%", numeric: true, show: (row) => share(row.rows / total) },
          { name: "Rows", numeric: true, show: (row) => count(row.rows), value: (row) => row.rows },
          { name: "Over time", narrow: true, show: (row) => <Spark values={row.per_s ?? []} /> },
        ]}
      />
    </Panel>
  );
}

const confidence: Format = (value) =>
  number(value === null || value === undefined ? null : Math.round(value * 100) / 100);

export function Confidence({ data }: { data: Model }) {
  const classes = (data.confidence ?? []).filter((each) => each.t.length && each.edges.length > 1);
  if (!classes.length) return null;
  const most = Math.max(...classes.map((each) => peak(each.counts)), 1);
  const height = classes.length > 2 ? 84 : 120;
  const grid = (): Grid => {
    const parts = classes.map((each) => heatmapGrid(each.t, each.edges, each.counts, confidence));
    return {
      columns: ["class", ...(parts[0]?.columns ?? [])],
      rows: parts.flatMap((each, at) => each.rows.map((row) => [classes[at]?.class ?? "", ...row])),
    };
  };
  return (
    <Figure title="Confidence by class" note="over time; stronger is more" grid={grid}>
      {classes.slice(0, 8).map((each) => (
        <div class="multiple" key={each.class}>
          <h3>{each.class || "all classes"}</h3>
          <Heatmap
            label={`Confidence of class ${each.class} over time`}
            t={each.t}
            edges={each.edges}
            counts={each.counts}
            format={confidence}
            most={most}
            height={height}
          />
        </div>
      ))}
    </Figure>
  );
}

function driftGrid(drift: Drift[]): Grid {
  return {
    columns: ["feature", "kind", "psi", "psi by chance", "js", "ks", "drifted", "missing", "missing in reference"],
    rows: drift.map((each) => [
      each.feature,
      each.kind,
      each.psi,
      each.psi_bias,
      each.js,
      each.ks,
      String(each.detected ?? ""),
      each.missing_share,
      each.reference_missing_share,
    ]),
  };
}

export function DriftPanel({ data }: { data: Model }) {
  const [table, setTable] = useState(false);
  const [all, setAll] = useState(false);
  const box = useRef<HTMLElement>(null);
  const features = [...(data.drift ?? [])].sort(
    (a, b) => Number(b.detected) - Number(a.detected) || (b.psi ?? 0) - (a.psi ?? 0),
  );
  if (!features.length) return null;
  const moved = features.filter((each) => each.detected).length;
  const shown = all ? features : features.slice(0, 12);
  return (
    <section class="panel span" ref={box}>
      <div class="caption">
        <h2>Drift</h2>
        <span class="muted note">
          {moved
            ? `${plural(moved, "feature")} of ${features.length} moved`
            : `none of ${plural(features.length, "feature")} moved`}{" "}
          · <i class="swatch tone-ref" />
          reference <i class="swatch tone-now" />
          now
        </span>
        <Export
          title="Drift"
          {...(table ? {} : { chart: () => box.current })}
          grid={() => driftGrid(features)}
          table={{ shown: table, toggle: () => setTable(!table) }}
        />
      </div>
      {table ? (
        <GridTable caption="Drift by feature" grid={driftGrid(features)} />
      ) : (
        <div class="multiples">
          {shown.map((each) => (
            <Feature key={each.feature} of={each} />
          ))}
        </div>
      )}
      {features.length > shown.length && !table && (
        <button type="button" class="button" onClick={() => setAll(true)}>
          All {features.length} features
        </button>
      )}
    </section>
  );
}

function Feature({ of }: { of: Drift }) {
  const [reference, current] = [of.reference ?? [], of.now ?? []];
  const size = Math.max(reference.length, current.length);
  const bins = of.kind === "number" ? of.bins.map((each) => String(each).replace(/^\d+ /, "")) : of.bins; // numbered for their order
  const known = bins.filter((each) => each !== "missing").length;
  const first = binName(bins, 0, size);
  const last = known > 1 ? binName(bins, Math.min(known, size) - 1, size) : "";
  return (
    <figure class="feature">
      <figcaption>
        <h3 title={of.feature}>{of.feature}</h3>
        {of.detected === null ? (
          <span class="muted">PSI {number(rounded(of.psi))}</span>
        ) : (
          <Sign of={of.detected ? "bad" : "quiet"}>PSI {number(rounded(of.psi))}</Sign>
        )}
        {of.psi_bias !== null && (
          <span class="muted" title="What PSI is on average of samples of this size when nothing has moved">
            {" "}
            {number(rounded(of.psi_bias))} by chance
          </span>
        )}
      </figcaption>
      <Bars
        label={`${of.feature}: reference against now, PSI ${rounded(of.psi) ?? "unknown"}`}
        bins={bins}
        reference={reference}
        now={current}
      />
      <p class="ends muted">
        <span>{first}</span>
        <span>{last}</span>
      </p>
      <p class="ends muted">
        <span>
          {of.missing_share
            ? `missing ${share(of.missing_share)}, was ${share(of.reference_missing_share)}`
            : "none missing"}
        </span>
        {of.psi_t && of.psi_t.length > 1 && <Spark values={of.psi_t} width={56} height={14} fill={false} />}
      </p>
    </figure>
  );
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1000) / 1000;
}

export function Missing({ data, range }: { data: Model; range: Range }) {
  if (!data.missing?.t.length) return null;
  const series: Series[] = [{ label: "missing", values: data.missing.per_row, tone: "now", fill: true }];
  const { t } = data.missing;
  return (
    <Figure title="Missing values" note="in a row, on average" grid={() => lineGrid(t, series)}>
      <LineChart
        label="Missing values in a row, on average"
        t={t}
        series={series}
        format={number}
        range={range}
        height={110}
      />
    </Figure>
  );
}

const HEADLINE = /^(estimated_)?(accuracy|mae|rmse)(_lower|_upper)?$/;

/** The measure that is drawn with its estimate; the others are rows. */
function qualityLines(measured: Record<string, Values>, estimated: Record<string, Values>): Series[] {
  const found: Series[] = [];
  for (const [name, values] of Object.entries(measured))
    if (HEADLINE.test(name)) found.push({ label: name, values, tone: "now" });
  for (const [name, values] of Object.entries(estimated)) {
    const label = `${name.replace("estimated_", "")}, estimated`.replace("_", " ");
    if (HEADLINE.test(name))
      found.push({ label, values, tone: "estimate", dash: true, thin: /_(lower|upper)$/.test(name) });
  }
  return found;
}

export function Quality({ data, range }: { data: Model; range: Range }) {
  const quality = data.quality;
  if (!quality?.t.length) return null;
  const all = Object.entries({ ...quality.measured, ...quality.estimated });
  const lines = qualityLines(quality.measured, quality.estimated);
  const others = all.filter(([name]) => !HEADLINE.test(name));
  const form: Format = all.every(([, values]) => values.every((each) => each === null || (each >= 0 && each <= 1)))
    ? share
    : number;
  const note = [
    quality.outcomes !== null ? plural(quality.outcomes, "outcome") : "",
    quality.delay_p50_s !== null ? `half of them within ${seconds(quality.delay_p50_s)}` : "",
  ]
    .filter(Boolean)
    .join(", ");
  return (
    <Figure
      title="Quality"
      note={note || "measured against estimated"}
      grid={() =>
        lineGrid(
          quality.t,
          all.map(([label, values]) => ({ label, values })),
        )
      }
    >
      {lines.length > 0 && (
        <LineChart
          label="Quality, measured and estimated"
          t={quality.t}
          series={lines}
          format={form}
          range={range}
          height={130}
          from0={false}
        />
      )}
      {others.length > 0 && (
        <table class="plain-table">
          <caption class="hidden">Other measures of quality</caption>
          <tbody>
            {others.map(([name, values]) => (
              <tr key={name}>
                <th scope="row">{name.replaceAll("_", " ")}</th>
                <td>
                  <Spark values={values} fill={false} height={14} />
                </td>
                <td class="num">{form(lastKnown(values))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Figure>
  );
}

export function Gpus({ data, range }: { data: Model; range: Range }) {
  return (
    <>
      {(data.gpus ?? [])
        .filter((each) => each.t.length)
        .map((each) => (
          <OneGpu key={each.id} of={each} range={range} />
        ))}
    </>
  );
}

const degrees = unitFormat("°C");

function OneGpu({ of, range }: { of: Gpu; range: Range }) {
  const limit = Array.isArray(of.memory_limit) ? of.memory_limit.at(-1) : of.memory_limit;
  const rows: [string, Values, Format, number | undefined][] = [];
  if (of.utilization) rows.push(["utilization", of.utilization, share, 1]);
  if (of.memory_used) rows.push(["memory", of.memory_used, bytes, limit ?? undefined]);
  if (of.temperature) rows.push(["temperature", of.temperature, degrees, undefined]);
  return (
    <Figure
      title={`GPU ${of.id}`}
      note={of.name}
      grid={() =>
        lineGrid(
          of.t,
          rows.map(([label, values]) => ({ label, values })),
        )
      }
    >
      {rows.map(([label, values, format, top]) => (
        <LineChart
          key={label}
          label={`GPU ${label}`}
          t={of.t}
          series={[{ label, values, tone: "now" }]}
          format={format}
          range={range}
          height={80}
          {...(top === undefined ? {} : { top })}
        />
      ))}
    </Figure>
  );
}
