// Which page an address shows.
import type { JSX } from "preact";
import { Compare } from "./pages/compare";
import { CompareTraces } from "./pages/compare_traces";
import { HealthPage } from "./pages/health";
import { LogsPage } from "./pages/logs";
import { MetricPage } from "./pages/metric";
import { Metrics } from "./pages/metrics";
import { ModelPage } from "./pages/model";
import { Models } from "./pages/models";
import { SlosPage } from "./pages/slos";
import { TracePage } from "./pages/trace";
import { TracesPage } from "./pages/traces";
import { Shell } from "./shell";
import { address, Link, usePlace } from "./url";

interface Route {
  area: string;
  title: string;
  view: JSX.Element;
}

function Unknown() {
  return (
    <p class="answer">
      There is no page at this address. <Link to={address("/")}>To the models</Link>
    </p>
  );
}

function route(path: string): Route {
  const [first = "", second = "", third = ""] = path.split("/").slice(1).map(decoded);
  const detail: Record<string, () => Route> = {
    "": () => ({ area: "/", title: "Models", view: <Models /> }),
    model: () => ({
      area: "/",
      title: `${second} ${third}`,
      view: <ModelPage key={`${second}/${third}`} model={second} version={third} />,
    }),
    compare: () => ({ area: "/", title: `Versions of ${second}`, view: <Compare key={second} model={second} /> }),
    traces: () => ({ area: "/traces", title: "Traces", view: <TracesPage /> }),
    trace: () => ({
      area: "/traces",
      title: `Trace ${second.slice(0, 8)}`,
      view: <TracePage key={second} id={second} />,
    }),
    "compare-traces": () => ({ area: "/traces", title: "Two traces", view: <CompareTraces /> }),
    logs: () => ({ area: "/logs", title: "Logs", view: <LogsPage /> }),
    metrics: () => ({ area: "/metrics", title: "Metrics", view: <Metrics /> }),
    metric: () => ({ area: "/metrics", title: second, view: <MetricPage key={second} name={second} /> }),
    slos: () => ({ area: "/slos", title: "SLOs and alerts", view: <SlosPage /> }),
    health: () => ({ area: "/health", title: "Health of telemetry", view: <HealthPage /> }),
  };
  return (
    (Object.hasOwn(detail, first) ? detail[first]?.() : undefined) ?? {
      area: "",
      title: "No such page",
      view: <Unknown />,
    }
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function App() {
  const { path } = usePlace();
  const { area, title, view } = route(path);
  return (
    <Shell area={area} title={title}>
      {view}
    </Shell>
  );
}
