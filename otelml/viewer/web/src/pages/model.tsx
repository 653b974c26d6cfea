// One model and version: how much, how well, how fast, where the time goes, what it says, and whether its world moved.
import type { JSX } from "preact";
import { LineChart, lineGrid, type Series } from "../charts/line";
import { Share } from "../charts/spark";
import { useData } from "../data";
import { clock, count, moment, plural, rate, seconds, share } from "../format";
import { Columns } from "../parts/columns";
import { Figure, Panel } from "../parts/figure";
import { Head, Sign, When } from "../parts/page";
import { Table } from "../parts/table";
import type { Range } from "../range";
import { STAGES } from "../theme";
import type { Model, Stage } from "../types";
import { address, go, Link, part, place } from "../url";
import { modelPath, within } from "./models";
import { Classes, Confidence, DriftPanel, Gpus, Missing, Quality } from "./model_parts";

export function ModelPage({ model, version }: { model: string; version: string }) {
  const answer = useData<Model>("/api/model", { model, version });
  const { data } = answer;
  return (
    <>
      <Head
        title={
          <>
            {model} <span class="version">{version}</span>
          </>
        }
        answer={data?.answer ?? undefined}
        exports={{ title: `Model ${model} ${version}`, csv: answer.csv, json: answer.json }}
      >
        <Versions model={model} version={version} versions={data?.versions ?? []} />
      </Head>
      <When answer={answer} empty={nothing} signal={`predictions of ${model} ${version}`}>
        {(found) => <Parts data={found} range={answer.range} within={within(answer)} />}
      </When>
    </>
  );
}

function nothing(data: Model): boolean {
  return !data.traffic?.t.length && !data.latency?.t.length && !data.stages?.length && !data.slowest?.length;
}

function Versions({ model, version, versions }: { model: string; version: string; versions: string[] }) {
  const others = versions.filter((each) => each !== version);
  if (!others.length) return null;
  return (
    <span class="actions">
      <select
        aria-label="Version"
        value={version}
        onChange={(event) => go(address(modelPath(model, (event.target as HTMLSelectElement).value)))}
      >
        {versions.map((each) => (
          <option key={each} value={each}>
            version {each}
          </option>
        ))}
      </select>
      <Link class="button" to={address(`/compare/${part(model)}`, { a: others[0], b: version })}>
        Compare versions
      </Link>
    </span>
  );
}

function Parts({ data, range, within }: { data: Model; range: Range; within: string }) {
  const classes = Math.min(data.classes?.length ?? 0, 12);
  const parts: [string, unknown, number, JSX.Element][] = [
    ["traffic", data.traffic?.t.length, 230, <Traffic data={data} range={range} />],
    ["latency", data.latency?.t.length, 230, <Latency data={data} range={range} />],
    ["stages", data.stages?.length, 280, <Stages data={data} range={range} within={within} />],
    ["slowest", data.slowest?.length, 200, <Slowest data={data} />],
    ["classes", data.classes?.length, 70 + 34 * classes, <Classes data={data} />],
    ["confidence", data.confidence?.length, 60 + 130 * (data.confidence?.length ?? 0), <Confidence data={data} />],
    ["quality", data.quality?.t.length, 250, <Quality data={data} range={range} />],
    ["errors", data.errors?.length, 70 + 32 * (data.errors?.length ?? 0), <Errors data={data} />],
    ["missing", data.missing?.t.length, 190, <Missing data={data} range={range} />],
    ["gpus", data.gpus?.length, 380 * (data.gpus?.length ?? 0), <Gpus data={data} range={range} />],
    ["loads", data.loads?.length, 70 + 32 * (data.loads?.length ?? 0), <Loads data={data} />],
  ];
  return (
    <>
      <Columns items={parts.filter(([, there]) => there).map(([name, , height, show]) => ({ name, height, show }))} />
      <DriftPanel data={data} />
      <Absent data={data} />
    </>
  );
}

function Traffic({ data, range }: { data: Model; range: Range }) {
  if (!data.traffic?.t.length) return null;
  const { t, requests_per_s, errors_per_s } = data.traffic;
  const series: Series[] = [
    { label: "requests", values: requests_per_s, tone: "now", fill: true },
    { label: "errors", values: errors_per_s, tone: "bad-mark" },
  ];
  return (
    <Figure title="Traffic" note="requests and errors per second" grid={() => lineGrid(t, series)}>
      <LineChart
        label={`Requests and errors per second of ${data.model}`}
        t={t}
        series={series}
        format={rate}
        range={range}
      />
    </Figure>
  );
}

function Latency({ data, range }: { data: Model; range: Range }) {
  if (!data.latency?.t.length) return null;
  const { t, p50_s, p95_s, p99_s } = data.latency;
  const series: Series[] = [
    { label: "p50", values: p50_s, tone: "now-soft" },
    { label: "p95", values: p95_s, tone: "now" },
    { label: "p99", values: p99_s, tone: "now-strong", dash: true },
  ];
  const step = t.length > 2 ? ((t[2] ?? 0) - (t[1] ?? 0)) / 1e9 : null; // the first bin may be cut
  return (
    <Figure
      title="Latency"
      note={`of requests${step ? `, each over ${seconds(step)}` : ""}`}
      grid={() => lineGrid(t, series)}
    >
      <LineChart label={`Latency percentiles of ${data.model}`} t={t} series={series} format={seconds} range={range} />
    </Figure>
  );
}

export function stageTone(stage: string | null): string {
  return (stage && STAGES[stage]) || "other";
}

function Stages({ data, range, within }: { data: Model; range: Range; within: string }) {
  const stages = data.stages ?? [];
  if (!stages.length) return null;
  const t = stages.find((each) => each.t?.length)?.t ?? [];
  const series: Series[] = stages
    .filter((each) => each.t?.length)
    .map((each) => ({ label: words(each.stage), values: each.mean_s, tone: stageTone(each.stage) }));
  const grid = () => ({
    columns: ["stage", "count", "share", "p50 (s)", "p95 (s)"],
    rows: stages.map((each) => [each.stage, each.count, each.share, each.p50_s, each.p95_s]),
  });
  return (
    <Figure title="Stages" note={`where the time goes, ${within}`} grid={grid}>
      <StageBar stages={stages} />
      <table class="plain-table">
        <caption class="hidden">Stages of a prediction</caption>
        <thead>
          <tr>
            <th scope="col">Stage</th>
            <th scope="col" class="num">
              Time
            </th>
            <th scope="col" class="num">
              p50
            </th>
            <th scope="col" class="num">
              p95
            </th>
            <th scope="col" class="num narrow">
              Count
            </th>
          </tr>
        </thead>
        <tbody>
          {stages.map((each) => (
            <tr key={each.stage}>
              <th scope="row">
                <i class={`swatch tone-${stageTone(each.stage)}`} />
                {words(each.stage)}
              </th>
              <td class="num">{share(each.share)}</td>
              <td class="num">{seconds(each.p50_s)}</td>
              <td class="num">{seconds(each.p95_s)}</td>
              <td class="num narrow">{count(each.count)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {series.length > 0 && (
        <LineChart
          label="Mean time of each stage"
          t={t}
          series={series}
          format={seconds}
          range={range}
          height={90}
          legend={false}
        />
      )}
    </Figure>
  );
}

function words(stage: string): string {
  return stage.replaceAll("_", " ");
}

function StageBar({ stages }: { stages: Stage[] }) {
  let at = 0;
  return (
    <svg class="stage-bar" width="100%" height="14" aria-hidden="true">
      {stages.map((each) => {
        const x = at;
        at += (each.share ?? 0) * 100;
        return (
          <rect
            key={each.stage}
            class={`fill-${stageTone(each.stage)}`}
            x={`${x}%`}
            width={`${(each.share ?? 0) * 100}%`}
            height="14"
          />
        );
      })}
    </svg>
  );
}

function Slowest({ data }: { data: Model }) {
  if (!data.slowest?.length) return null;
  const longest = Math.max(...data.slowest.map((each) => each.duration_s));
  return (
    <Panel
      title="Slowest"
      note="each leads to its trace"
      aside={
        <Link class="more" to={address("/traces", { model: data.model, q: `version=${JSON.stringify(data.version)}` })}>
          All traces
        </Link>
      }
    >
      <ul class="rows">
        {data.slowest.slice(0, 6).map((each) => (
          <li key={each.trace_id}>
            <Link to={address(`/trace/${each.trace_id}`)} data-row class="mono">
              {each.trace_id.slice(0, 8)}
            </Link>
            <span class="muted">{clock(each.start_ns / 1e6)}</span>
            <Share of={each.duration_s / longest} />
            <span class="num">{seconds(each.duration_s)}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Errors({ data }: { data: Model }) {
  if (!data.errors?.length) return null;
  return (
    <Panel
      title="Errors"
      note={plural(
        data.errors.reduce((sum, each) => sum + each.count, 0),
        "failed request",
      )}
      aside={
        <Link class="more" to={address("/traces", { model: data.model, errors: 1 })}>
          Their traces
        </Link>
      }
    >
      <Table
        caption="Errors by type"
        rows={data.errors}
        id={(row) => row.type}
        columns={[
          { name: "Type", wide: true, show: (row) => <Sign of="bad">{row.type || "(no type)"}</Sign> },
          { name: "Count", numeric: true, show: (row) => count(row.count) },
          {
            name: "Latest",
            numeric: true,
            show: (row) =>
              row.trace_id && (
                <Link class="mono" data-row to={address(`/trace/${row.trace_id}`)}>
                  {row.trace_id.slice(0, 8)}
                </Link>
              ),
          },
        ]}
      />
    </Panel>
  );
}

function Loads({ data }: { data: Model }) {
  if (!data.loads?.length) return null;
  return (
    <Panel title="Loads" note="when this model was loaded, promoted, let go">
      <Table
        caption="Loads of the model"
        rows={data.loads}
        id={(_, index) => String(index)}
        columns={[
          { name: "When", show: (row) => moment(row.time_ns / 1e6) },
          { name: "Event", wide: true, show: (row) => row.event },
          { name: "Framework", show: (row) => row.framework },
          { name: "Device", show: (row) => row.device },
        ]}
      />
    </Panel>
  );
}

const HINTS: [string, (data: Model) => boolean, string][] = [
  ["stages", (data) => !data.stages?.length, 'mark them: with otelml.stage("preprocessing")'],
  [
    "classes and confidence",
    (data) => !data.classes?.length && !data.confidence?.length,
    "observe the result: prediction.observe(result)",
  ],
  ["drift", (data) => !data.drift?.length, "give a reference: otelml profile, then OTELML_DRIFT_REFERENCE"],
  ["quality", (data) => !data.quality?.t.length, "say what came true: otelml.log_truth(prediction_id, truth)"],
  ["GPU", (data) => !data.gpus?.length, "none was seen on this machine"],
];

function Absent({ data }: { data: Model }) {
  const missing = HINTS.filter(([, absent]) => absent(data));
  if (!missing.length || place().query.get("export")) return null;
  return (
    <p class="absent">
      Not recorded:{" "}
      {missing.map(([name, , how], index) => (
        <span key={name}>
          {index > 0 && "; "}
          {name} (<code>{how}</code>)
        </span>
      ))}
    </p>
  );
}
