// Is the telemetry itself well: what arrives, where it stopped, what is wrong with it and how that is put right.
import { lastWhole } from "../charts/line";
import { Spark } from "../charts/spark";
import { useData } from "../data";
import { ago, bytes, clock, count, moment, NONE, number, plural, rate, seconds, share } from "../format";
import { now } from "../live";
import { Panel } from "../parts/figure";
import { Head, Sign, When } from "../parts/page";
import { Table } from "../parts/table";
import type { Health } from "../types";
import { Outside } from "./slos";

export function HealthPage() {
  const answer = useData<Health>("/api/health");
  return (
    <>
      <Head
        title="Health of telemetry"
        answer={answer.data && some(answer.data) ? said(answer.data) : undefined}
        exports={{ title: "Health of telemetry", csv: answer.csv, json: answer.json }}
      />
      <When answer={answer} empty={(data) => !some(data)} signal="telemetry">
        {(data) => (
          <>
            <Mistakes data={data} />
            <Received data={data} />
            <Gaps data={data} />
            <Stored data={data} />
          </>
        )}
      </When>
    </>
  );
}

function items(data: Health): number {
  return Object.values(data.received).reduce((sum, each) => sum + each.items, 0);
}

/** A running stack may not count what it receives, and still has faults to show. */
function some(data: Health): boolean {
  return items(data) > 0 || data.store === null;
}

const GRADES: Record<string, "good" | "fair" | "bad"> = {
  error: "bad",
  critical: "bad",
  warning: "fair",
  warn: "fair",
  info: "good",
};

function said(data: Health): string {
  const mistakes = data.mistakes.length
    ? `${plural(data.mistakes.length, "mistake")} of instrumentation, the fix beside ${data.mistakes.length === 1 ? "it" : "each"}`
    : "No mistake of instrumentation";
  return `${mistakes}; ${data.gaps.length ? plural(data.gaps.length, "gap") : "no gap"} in what arrived.`;
}

function Mistakes({ data }: { data: Health }) {
  if (!data.mistakes.length) return null;
  return (
    <Panel title="Mistakes" note="the worst first">
      <Table
        caption="Mistakes of instrumentation"
        rows={data.mistakes}
        id={(row, index) => `${row.id}${row.where}${index}`}
        columns={[
          { name: "Grade", show: (row) => <Sign of={GRADES[row.severity] ?? "fair"}>{row.severity}</Sign> },
          {
            name: "What",
            wide: true,
            show: (row) => (
              <>
                {row.what} <span class="muted sub">{row.where}</span>
              </>
            ),
          },
          {
            name: "Fix",
            show: (row) => (
              <>
                {row.fix} {row.docs && <Outside to={row.docs}>more</Outside>}
              </>
            ),
          },
        ]}
      />
    </Panel>
  );
}

function Received({ data }: { data: Health }) {
  const rows = Object.entries(data.received).map(([signal, each]) => ({ signal, ...each }));
  const series = (row: (typeof rows)[number]) => (Array.isArray(row.per_s) ? row.per_s : []);
  const latest = (row: (typeof rows)[number]) => (Array.isArray(row.per_s) ? lastWhole(row.per_s) : row.per_s);
  return (
    <Panel title="Received">
      <Table
        caption="Received"
        rows={rows}
        id={(row) => row.signal}
        columns={[
          { name: "Signal", wide: true, show: (row) => row.signal },
          { name: "Items", numeric: true, value: (row) => row.items, show: (row) => count(row.items) },
          { name: "Requests", numeric: true, value: (row) => row.requests, show: (row) => count(row.requests) },
          { name: "Now", numeric: true, value: latest, show: (row) => rate(latest(row)) },
          { name: "Over time", narrow: true, show: (row) => <Spark values={series(row)} /> },
        ]}
      />
    </Panel>
  );
}

function Gaps({ data }: { data: Health }) {
  if (!data.gaps.length) return null;
  return (
    <Panel title="Gaps" note="a sender that had been heard was silent">
      <Table
        caption="Gaps"
        rows={data.gaps}
        id={(_, index) => String(index)}
        columns={[
          {
            name: "Sender",
            wide: true,
            show: (row) => (
              <>
                {row.service} <span class="muted sub mono">{row.instance}</span>
              </>
            ),
          },
          { name: "Signal", show: (row) => row.signal },
          { name: "From", numeric: true, show: (row) => moment(row.from_ns / 1e6) },
          { name: "To", numeric: true, narrow: true, show: (row) => clock(row.to_ns / 1e6) },
          { name: "Length", numeric: true, show: (row) => seconds((row.to_ns - row.from_ns) / 1e9) },
        ]}
      />
    </Panel>
  );
}

function Stored({ data }: { data: Health }) {
  const { store } = data;
  if (!store) return null;
  const pruned =
    typeof store.pruned === "number" ? store.pruned : Object.values(store.pruned).reduce((sum, each) => sum + each, 0);
  return (
    <Panel title="Store">
      <dl class="facts">
        <div>
          <dt>Size</dt>
          <dd>
            {bytes(store.bytes)}
            {store.limit ? ` of ${bytes(store.limit)} (${share(store.bytes / store.limit)})` : ""}
          </dd>
        </div>
        <div>
          <dt>Oldest</dt>
          <dd>{store.oldest_ns === null ? NONE : ago(store.oldest_ns / 1e6, now())}</dd>
        </div>
        <div>
          <dt>Pruned</dt>
          <dd>{number(pruned)} rows</dd>
        </div>
      </dl>
    </Panel>
  );
}
