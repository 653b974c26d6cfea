// Every metric that was received, and how many series it has.
import { useState } from "preact/hooks";
import { useData } from "../data";
import { count, plural } from "../format";
import { Head, Sign, When } from "../parts/page";
import { Table } from "../parts/table";
import type { MetricRow } from "../types";
import { address, Link, part } from "../url";

const MANY = 1000;

export function Metrics() {
  const answer = useData<{ metrics: MetricRow[] }>("/api/metrics");
  const [filter, setFilter] = useState("");
  const metrics = answer.data?.metrics ?? [];
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = metrics.filter((each) =>
    words.every((word) => `${each.name} ${each.description} ${each.services.join(" ")}`.toLowerCase().includes(word)),
  );
  return (
    <>
      <Head
        title="Metrics"
        answer={metrics.length ? said(metrics) : undefined}
        exports={{ title: "Metrics", csv: answer.csv, json: answer.json }}
      />
      <div class="filters">
        <div class="search" role="search">
          <input
            type="text"
            data-search
            aria-label="Search metrics"
            placeholder="words of the name, what it says or the service"
            value={filter}
            onInput={(event) => setFilter((event.target as HTMLInputElement).value)}
          />
        </div>
      </div>
      <When answer={answer} empty={(data) => !data.metrics.length} signal="metrics">
        {() => (
          <section class="panel flush" aria-label="Metrics">
            <Table
              caption="Metrics"
              rows={shown}
              id={(row) => `${row.name}\n${row.unit}\n${row.kind}`}
              columns={[
                {
                  name: "Metric",
                  wide: true,
                  value: (row) => row.name,
                  show: (row) => (
                    <>
                      <Link to={address(`/metric/${part(row.name)}`)} data-row class="name">
                        {row.name}
                      </Link>{" "}
                      <span class="muted sub">{row.description}</span>
                    </>
                  ),
                },
                { name: "Kind", value: (row) => row.kind, show: (row) => row.kind },
                { name: "Unit", value: (row) => row.unit, show: (row) => row.unit },
                {
                  name: "Series",
                  numeric: true,
                  value: (row) => row.series,
                  show: (row) => (row.series >= MANY ? <Sign of="fair">{count(row.series)}</Sign> : count(row.series)),
                },
                {
                  name: "Services",
                  narrow: true,
                  value: (row) => row.services.join(),
                  show: (row) => <span class="muted">{row.services.join(", ")}</span>,
                },
              ]}
            />
            {!shown.length && <p class="under muted">No metric has these words.</p>}
          </section>
        )}
      </When>
    </>
  );
}

function said(metrics: MetricRow[]): string {
  const series = metrics.reduce((sum, each) => sum + each.series, 0);
  const most = metrics.reduce((best, each) => (each.series > best.series ? each : best));
  return `${plural(metrics.length, "metric")} in ${plural(series, "series", "series")}; ${most.name} has the most, ${count(most.series)}.`;
}
