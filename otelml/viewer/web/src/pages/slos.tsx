// What was promised, how much of the budget is left, how fast it burns, and what would page.
import { Spark } from "../charts/spark";
import { useData } from "../data";
import { ago, count, NONE, number, plural, seconds, share } from "../format";
import { now } from "../live";
import { Head, Sign, When } from "../parts/page";
import { Table } from "../parts/table";
import type { Objective, Slos } from "../types";

const STATES: Record<string, ["good" | "fair" | "bad", string]> = {
  ok: ["good", "ok"],
  ticket: ["fair", "ticket"],
  page: ["bad", "page"],
};
const WINDOWS = ["5m", "1h", "6h", "3d"];

export function SlosPage() {
  const answer = useData<Slos>("/api/slos");
  return (
    <>
      <Head
        title="SLOs and alerts"
        answer={answer.data?.objectives.length ? said(answer.data) : undefined}
        exports={{ title: "SLOs", csv: answer.csv, json: answer.json }}
      />
      <When
        answer={answer}
        empty={(data) => !data.objectives.length && !data.alerts.length}
        signal="requests to hold against objectives"
      >
        {(data) => (
          <>
            {data.alerts.length > 0 && <Alerts data={data} />}
            {data.objectives.length > 0 && <Objectives rows={data.objectives} />}
            {!data.alerts.length && <p class="absent">No alert is pending or firing.</p>}
          </>
        )}
      </When>
    </>
  );
}

function said(data: Slos): string {
  const bad = data.objectives.filter((each) => each.state !== "ok");
  if (!bad.length)
    return `${data.objectives.length === 1 ? "The one objective is" : `All ${data.objectives.length} objectives are`} kept; nothing would page.`;
  const worst = bad.find((each) => each.state === "page") ?? bad[0];
  const burn = WINDOWS.map((window) => worst?.burn[window] ?? 0);
  return `${plural(bad.length, "objective")} of ${data.objectives.length} burn too fast: ${worst?.name} would ${worst?.state === "page" ? "page" : "open a ticket"}, spending its budget ${number(Math.max(...burn))} times as fast as allowed.`;
}

function burnShown(value: number | null | undefined) {
  if (value === null || value === undefined) return <span class="muted">{NONE}</span>;
  const said = `×${number(Math.round(value * 100) / 100)}`;
  if (value > 14.4) return <Sign of="bad">{said}</Sign>;
  return value > 1 ? <Sign of="fair">{said}</Sign> : said;
}

function Objectives({ rows }: { rows: Objective[] }) {
  return (
    <section class="panel flush" aria-label="Objectives">
      <Table
        caption="Objectives"
        rows={rows}
        id={(row) => row.name}
        columns={[
          {
            name: "Objective",
            wide: true,
            value: (row) => row.name,
            show: (row) => (
              <>
                <span class="name">{row.name}</span>{" "}
                <span class="muted sub">
                  {share(row.objective)} over {seconds(row.window_s)}
                </span>
              </>
            ),
          },
          {
            name: "State",
            value: (row) => row.state,
            show: (row) => <Sign of={STATES[row.state]?.[0] ?? "quiet"}>{STATES[row.state]?.[1] ?? row.state}</Sign>,
          },
          { name: "Good", numeric: true, value: (row) => row.sli, show: (row) => precise(row.sli) },
          {
            name: "Budget left",
            numeric: true,
            value: (row) => row.budget_left,
            show: (row) =>
              (row.budget_left ?? 1) < 0 ? <Sign of="bad">{share(row.budget_left)}</Sign> : share(row.budget_left),
          },
          { name: "Budget", narrow: true, show: (row) => <Spark values={row.budget ?? []} /> },
          ...WINDOWS.map((window) => ({
            name: `Burn ${window}`,
            numeric: true,
            narrow: true,
            value: (row: Objective) => row.burn[window],
            show: (row: Objective) => burnShown(row.burn[window]),
          })),
          { name: "Of", numeric: true, narrow: true, value: (row) => row.total, show: (row) => count(row.total) },
        ]}
      />
      <p class="under muted">
        Burn ×1 spends the whole budget in exactly its window; above ×14.4 over 1 h and 5 min somebody is paged, above
        ×6 over 6 h too.
      </p>
    </section>
  );
}

/** A share close to 1 needs more digits than others: 99.95 % is not 100 %. */
function precise(value: number | null): string {
  if (value === null) return NONE;
  return `${(Math.floor(value * 1e5) / 1e3).toLocaleString("en", { maximumFractionDigits: 3 })}\u202f%`;
}

const FIRING: Record<string, "bad" | "fair" | "quiet"> = { firing: "bad", pending: "fair" };

function Alerts({ data }: { data: Slos }) {
  return (
    <section class="panel flush" aria-label="Alerts">
      <Table
        caption="Alerts"
        rows={data.alerts}
        id={(row, index) => `${row.name}${index}`}
        columns={[
          {
            name: "Alert",
            wide: true,
            value: (row) => row.name,
            show: (row) => (
              <>
                <span class="name">{row.name}</span> <span class="muted sub">{row.summary}</span>
              </>
            ),
          },
          {
            name: "State",
            value: (row) => row.state,
            show: (row) => <Sign of={FIRING[row.state] ?? "quiet"}>{row.state}</Sign>,
          },
          { name: "Severity", value: (row) => row.severity, show: (row) => row.severity },
          {
            name: "Since",
            numeric: true,
            value: (row) => row.since_ns,
            show: (row) => (row.since_ns === null ? NONE : ago(row.since_ns / 1e6, now())),
          },
          {
            name: "Runbook",
            narrow: true,
            show: (row) => (row.runbook ? <Outside to={row.runbook}>runbook</Outside> : NONE),
          },
        ]}
      />
    </section>
  );
}

/** A link out of the page; anything that is not a web address or a path is text. */
export function Outside({ to, children }: { to: string; children: string }) {
  if (!/^(https?:\/\/|\/(?!\/))/.test(to)) return <code>{to}</code>;
  return (
    <a class="outside" href={to} rel="noreferrer noopener" target="_blank">
      {children}
    </a>
  );
}
