// Which models answer, how much, how well, how fast: a row for every model and version.
import { Spark } from "../charts/spark";
import { useData, type Answer } from "../data";
import { ago, count, NONE, number, plural, roundly, seconds, share } from "../format";
import { now } from "../live";
import { Head, Sign, When } from "../parts/page";
import { Table, type Column } from "../parts/table";
import type { ModelRow } from "../types";
import { address, Link, part } from "../url";

export function modelPath(model: string, version: string): string {
  return `/model/${part(model)}/${part(version)}`;
}

function said(models: ModelRow[], within: string): string {
  const requests = models.reduce((sum, each) => sum + each.requests, 0);
  const errors = models.reduce((sum, each) => sum + each.errors, 0);
  const slowest = models.filter((each) => each.p95_s !== null).sort((a, b) => (b.p95_s ?? 0) - (a.p95_s ?? 0))[0];
  const names = new Set(models.map((each) => each.model)).size;
  const versions = models.length > names ? ` in ${plural(models.length, "version")}` : "";
  const slow = slowest
    ? ` The slowest, ${slowest.model}${slowest.version ? ` ${slowest.version}` : ""}, answers 95 % within ${seconds(slowest.p95_s)}.`
    : "";
  return `${plural(names, "model")}${versions} answered ${plural(requests, "request")} ${within}; ${requests ? share(errors / requests) : NONE} failed.${slow}`;
}

export function within(answer: Answer<unknown>): string {
  const { live, from, to } = answer.range;
  return `${live ? "in the last" : "in these"} ${roundly((to - from) / 1000)}`;
}

const COLUMNS: Column<ModelRow>[] = [
  {
    name: "Model",
    wide: true,
    value: (row) => `${row.model} ${row.version}`,
    show: (row) => (
      <>
        <Link to={address(modelPath(row.model, row.version))} data-row class="name">
          {row.model || "(no name)"} <span class="version">{row.version}</span>
        </Link>{" "}
        <span class="muted sub">{row.service.join(", ")}</span>
      </>
    ),
  },
  { name: "Requests", numeric: true, value: (row) => row.requests, show: (row) => count(row.requests) },
  { name: "Traffic", narrow: true, show: (row) => <Spark values={row.spark?.requests ?? []} /> },
  {
    name: "Errors",
    numeric: true,
    value: (row) => row.error_share,
    show: (row) =>
      row.errors ? (
        <Sign of={(row.error_share ?? 0) >= 0.01 ? "bad" : "fair"}>{share(row.error_share)}</Sign>
      ) : (
        <span class="muted">{row.error_share === null ? NONE : "0"}</span>
      ),
  },
  { name: "p50", numeric: true, narrow: true, value: (row) => row.p50_s, show: (row) => seconds(row.p50_s) },
  { name: "p95", numeric: true, value: (row) => row.p95_s, show: (row) => seconds(row.p95_s) },
  { name: "p99", numeric: true, narrow: true, value: (row) => row.p99_s, show: (row) => seconds(row.p99_s) },
  { name: "p95 over time", narrow: true, show: (row) => <Spark values={row.spark?.p95_s ?? []} fill={false} /> },
  { name: "Rows", numeric: true, narrow: true, value: (row) => row.rows, show: (row) => count(row.rows) },
  {
    name: "Confidence",
    numeric: true,
    narrow: true,
    value: (row) => row.confidence_mean,
    show: (row) => number(row.confidence_mean === null ? null : Math.round(row.confidence_mean * 1000) / 1000),
  },
  {
    name: "Last",
    numeric: true,
    narrow: true,
    value: (row) => row.last_ns,
    show: (row) => (row.last_ns === null ? NONE : ago(row.last_ns / 1e6, now())),
  },
];

export function Models() {
  const answer = useData<{ models: ModelRow[] }>("/api/models");
  const models = answer.data?.models ?? [];
  return (
    <>
      <Head
        title="Models"
        answer={models.length ? said(models, within(answer)) : undefined}
        exports={{ title: "Models", csv: answer.csv, json: answer.json }}
      />
      <When answer={answer} empty={(data) => !data.models.length} signal="predictions">
        {(data) => (
          <section class="panel flush" aria-label="Models and versions">
            <Table
              caption="Models and versions"
              columns={COLUMNS}
              rows={data.models}
              id={(row) => `${row.model}\n${row.version}`}
              sorted={[1, "down"]}
            />
            <Comparable models={data.models} />
          </section>
        )}
      </When>
    </>
  );
}

function Comparable({ models }: { models: ModelRow[] }) {
  const versions = Map.groupBy(models, (each) => each.model);
  const several = [...versions].filter(([, rows]) => rows.length > 1);
  if (!several.length) return null;
  return (
    <p class="under">
      Compare versions:{" "}
      {several.map(([model, rows]) => (
        <Link key={model} to={address(`/compare/${part(model)}`, { a: rows[1]?.version, b: rows[0]?.version })}>
          {model}
        </Link>
      ))}
    </p>
  );
}
