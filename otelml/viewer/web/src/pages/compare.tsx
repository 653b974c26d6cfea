// Two versions of a model side by side: which is better, by how much, and is it more than chance?
import { useData } from "../data";
import { NONE, plural, ratio, unitFormat } from "../format";
import { Panel } from "../parts/figure";
import { Head, Sign, When } from "../parts/page";
import { Table } from "../parts/table";
import type { Comparison, Model } from "../types";
import { address, Link, set, usePlace } from "../url";
import { modelPath } from "./models";

const CHANCE = 0.01;

export function Compare({ model }: { model: string }) {
  const { query } = usePlace();
  const known = useData<Model>("/api/model", { model }, { still: true });
  const versions = known.data?.versions ?? [];
  const a = query.get("a") ?? versions[1] ?? versions[0] ?? "";
  const b = query.get("b") ?? versions[0] ?? "";
  const answer = useData<Comparison>("/api/compare", { model, a, b }, { skip: !a && !b });
  return (
    <>
      <Head
        title={`Versions of ${model}`}
        answer={answer.data?.rows.length ? said(answer.data, a, b) : undefined}
        exports={{ title: `Versions of ${model}`, csv: answer.csv, json: answer.json }}
      >
        <span class="actions">
          <Choice name="a" value={a} versions={versions} />
          <span class="muted">against</span>
          <Choice name="b" value={b} versions={versions} />
        </span>
      </Head>
      <When answer={answer} empty={(data) => !data.rows.length} signal={`predictions of both versions of ${model}`}>
        {(data) => <Rows data={data} model={model} a={a} b={b} />}
      </When>
    </>
  );
}

function Choice({ name, value, versions }: { name: "a" | "b"; value: string; versions: string[] }) {
  const all = versions.includes(value) || !value ? versions : [value, ...versions];
  return (
    <select
      aria-label={`Version ${name}`}
      value={value}
      onChange={(event) => set({ [name]: (event.target as HTMLSelectElement).value })}
    >
      {all.map((each) => (
        <option key={each} value={each}>
          {each}
        </option>
      ))}
    </select>
  );
}

function said(data: Comparison, a: string, b: string): string {
  const sure = data.rows.filter((row) => row.p_value === undefined || row.p_value === null || row.p_value < CHANCE);
  const better = (which: "a" | "b") => sure.filter((row) => row.better === which).map((row) => row.what);
  const parts = (
    [
      ["a", a],
      ["b", b],
    ] as const
  )
    .map(([which, name]) => [name, better(which)] as const)
    .filter(([, what]) => what.length);
  if (!parts.length) return `No difference between ${a} and ${b} that is more than chance.`;
  return `${parts.map(([name, what]) => `${name} is better in ${what.length > 3 ? plural(what.length, "way") : what.join(", ")}`).join("; ")}.`;
}

function Rows({ data, model, a, b }: { data: Comparison; model: string; a: string; b: string }) {
  const best = (side: "a" | "b", row: Comparison["rows"][number]) =>
    row.better === side ? <Sign of="good">{unitFormat(row.unit)(row[side])}</Sign> : unitFormat(row.unit)(row[side]);
  const head = (version: string) => version || "(no version)";
  return (
    <Panel
      title={`${head(a)} and ${head(b)}`}
      note="● is the better one"
      aside={
        <span class="more">
          <Link to={address(modelPath(model, a))}>{head(a)}</Link>{" "}
          <Link to={address(modelPath(model, b))}>{head(b)}</Link>
        </span>
      }
    >
      <Table
        caption={`Versions ${a} and ${b} of ${model}`}
        rows={data.rows}
        id={(row) => row.what}
        columns={[
          { name: "What", wide: true, value: (row) => row.what, show: (row) => row.what },
          { name: `${head(a)} (a)`, numeric: true, value: (row) => row.a, show: (row) => best("a", row) },
          { name: `${head(b)} (b)`, numeric: true, value: (row) => row.b, show: (row) => best("b", row) },
          { name: "b / a", numeric: true, value: (row) => row.ratio, show: (row) => ratio(row.ratio) },
          { name: "p", numeric: true, narrow: true, value: (row) => row.p_value, show: (row) => chance(row.p_value) },
        ]}
      />
    </Panel>
  );
}

function chance(value: number | null | undefined) {
  if (value === null || value === undefined) return <span class="muted">{NONE}</span>;
  return value < 0.001 ? "< 0.001" : value.toFixed(3);
}
