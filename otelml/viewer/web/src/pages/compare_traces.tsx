// Two traces span by span: what took longer.
import { Share } from "../charts/spark";
import { useData } from "../data";
import { ratio, seconds } from "../format";
import { Head, When } from "../parts/page";
import { Table } from "../parts/table";
import type { TraceComparison } from "../types";
import { address, Link, set, usePlace } from "../url";

export function CompareTraces() {
  const { query } = usePlace();
  const [a, b] = [query.get("a") ?? "", query.get("b") ?? ""];
  const answer = useData<TraceComparison>("/api/compare-traces", { a, b }, { timeless: true, skip: !a || !b });
  const change = (name: string) => (event: Event) => set({ [name]: (event.target as HTMLInputElement).value.trim() });
  return (
    <>
      <Head
        title="Two traces"
        answer={answer.data?.rows.length ? said(answer.data) : undefined}
        {...(a && b ? { exports: { title: "Two traces", csv: answer.csv, json: answer.json } } : {})}
      />
      <div class="filters">
        <input
          type="text"
          class="mono id"
          aria-label="First trace"
          value={a}
          placeholder="id of the first trace"
          onChange={change("a")}
        />
        <input
          type="text"
          class="mono id"
          aria-label="Second trace"
          value={b}
          placeholder="id of the second trace"
          onChange={change("b")}
        />
        {a && (
          <Link class="button" to={address(`/trace/${a}`)}>
            Open a
          </Link>
        )}
        {b && (
          <Link class="button" to={address(`/trace/${b}`)}>
            Open b
          </Link>
        )}
      </div>
      {a && b ? (
        <When answer={answer} empty={(data) => !data.rows.length} signal="such traces">
          {(data) => <Rows data={data} />}
        </When>
      ) : (
        <p class="answer">
          Pick two in the <Link to={address("/traces")}>list of traces</Link>, or write their ids here.
        </p>
      )}
    </>
  );
}

type Row = TraceComparison["rows"][number];

function change(row: Row): number {
  return (row.b_s ?? 0) - (row.a_s ?? 0);
}

function said(data: TraceComparison): string {
  const [root] = data.rows;
  const most = data.rows.slice(1).sort((x, y) => Math.abs(change(y)) - Math.abs(change(x)))[0];
  const whole =
    root && root.a_s !== null && root.b_s !== null
      ? `b took ${seconds(root.b_s)}, a ${seconds(root.a_s)} (${ratio(root.ratio)})`
      : "They share no first span";
  return most
    ? `${whole}; the largest difference is in ${most.path.split(/ [›>\/] /).at(-1)}: ${change(most) > 0 ? "+" : "−"}${seconds(Math.abs(change(most)))}.`
    : `${whole}.`;
}

function Rows({ data }: { data: TraceComparison }) {
  const longest = Math.max(...data.rows.flatMap((row) => [row.a_s ?? 0, row.b_s ?? 0]), 1e-9);
  const bar = (value: number | null, tone: string) => (
    <span class="pair">
      <Share of={(value ?? 0) / longest} tone={tone} />
    </span>
  );
  return (
    <section class="panel flush" aria-label="Spans of both traces">
      <Table
        caption="Spans of both traces"
        rows={data.rows}
        id={(row) => row.path}
        columns={[
          { name: "Span", wide: true, value: (row) => row.path, show: (row) => row.path },
          { name: "a", numeric: true, value: (row) => row.a_s, show: (row) => seconds(row.a_s) },
          { name: "b", numeric: true, value: (row) => row.b_s, show: (row) => seconds(row.b_s) },
          {
            name: "grey a, blue b",
            narrow: true,
            show: (row) => (
              <>
                {bar(row.a_s, "ref")}
                {bar(row.b_s, "now")}
              </>
            ),
          },
          { name: "b / a", numeric: true, value: (row) => row.ratio, show: (row) => ratio(row.ratio) },
        ]}
      />
    </section>
  );
}
