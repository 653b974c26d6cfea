// One request, from its first span to its last: where the time went, what was logged, what it was batched with.
import { useMemo, useState } from "preact/hooks";
import { useData } from "../data";
import { clock, moment, plural, seconds, share } from "../format";
import { Export } from "../parts/export";
import { Head, Sign, When } from "../parts/page";
import type { Span, Trace } from "../types";
import { address, Link, set, usePlace } from "../url";
import { Detail } from "./span";
import { paint, Waterfall } from "./waterfall";

export function TracePage({ id }: { id: string }) {
  const answer = useData<Trace>("/api/trace", { id }, { timeless: true });
  const { data } = answer;
  const root = data?.spans[0];
  return (
    <>
      <Head title={root ? root.name : "Trace"} answer={data?.spans.length ? said(data) : undefined}>
        {data && <Export title={`Trace ${id.slice(0, 8)}`} links={answer} chart={() => paint(data)} />}
      </Head>
      <When answer={answer} empty={(found) => !found.spans.length} signal="such trace">
        {(found) => <Body data={found} />}
      </When>
    </>
  );
}

/** Seconds of each span on the critical path, the longest first. */
function critical(data: Trace): [Span, number][] {
  const sums = data.spans.map((span): [Span, number] => [
    span,
    (span.critical ?? []).reduce((sum, [from, to]) => sum + (to - from), 0) / 1e9,
  ]);
  return sums.filter(([, sum]) => sum > 0).sort((a, b) => b[1] - a[1]);
}

function said(data: Trace) {
  const failed = data.spans.filter((each) => each.status === "error");
  const [first] = critical(data);
  return (
    <>
      {moment(data.start_ns / 1e6)}.{clock(data.start_ns / 1e6, true).split(".")[1]}: {seconds(data.duration_s)} in{" "}
      {plural(data.spans.length, "span")} of {data.services.join(", ")}
      {first && data.duration_s > 0 && `; ${share(first[1] / data.duration_s)} of it in ${first[0].name}`}
      {failed.length > 0 && (
        <>
          {"; "}
          <Sign of="bad">
            {plural(failed.length, "span")} failed
            {failed.at(-1)?.status_message ? `: ${failed.at(-1)?.status_message}` : ""}
          </Sign>
        </>
      )}
      .
    </>
  );
}

function Body({ data }: { data: Trace }) {
  const { query } = usePlace();
  const [logs, setLogs] = useState(true);
  const chosen = query.get("span");
  const span = useMemo(() => data.spans.find((each) => each.span_id === chosen) ?? null, [data, chosen]);
  const logsOf = useMemo(() => Map.groupBy(data.logs, (each) => each.span_id), [data]);
  return (
    <>
      <Joined data={data} />
      <div class={span ? "trace with-detail" : "trace"}>
        <section class="panel flush" aria-label="Waterfall">
          <div class="caption">
            <h2>Spans</h2>
            <span class="muted note">
              <i class="line-mark" /> critical path
              <Keys spans={data.spans} />
            </span>
            {data.logs.length > 0 && (
              <button type="button" class="toggle small-toggle" aria-pressed={logs} onClick={() => setLogs(!logs)}>
                {plural(data.logs.length, "log")} in place
              </button>
            )}
          </div>
          <Waterfall
            data={data}
            logsOf={logs ? logsOf : null}
            chosen={chosen}
            onChoose={(id) => set({ span: id === chosen ? null : id }, true)}
          />
        </section>
        {span && (
          <Detail
            span={span}
            trace={data}
            logs={logsOf.get(span.span_id) ?? []}
            onClose={() => set({ span: null }, true)}
          />
        )}
      </div>
    </>
  );
}

const STAGE_NAMES = ["feature_retrieval", "preprocessing", "inference", "postprocessing"];

function Keys({ spans }: { spans: Span[] }) {
  const seen = STAGE_NAMES.filter((stage) => spans.some((each) => each.stage === stage));
  return (
    <>
      {seen.map((stage) => (
        <span key={stage} class="key">
          <i class={`swatch tone-stage-${STAGE_NAMES.indexOf(stage) + 1}`} />
          {stage.replaceAll("_", " ")}
        </span>
      ))}
    </>
  );
}

/** Traces that this one was batched with: they link here, or are linked from here. */
function Joined({ data }: { data: Trace }) {
  const to = data.spans.flatMap((each) => each.links ?? []).filter((each) => each.trace_id !== data.trace_id);
  const members = [
    ...new Map(
      [...to, ...(data.linked_from ?? [])]
        .filter((each) => each.trace_id !== data.trace_id)
        .map((each) => [each.trace_id, each]),
    ).values(),
  ];
  if (!members.length) return null;
  return (
    <p class="joined">
      Linked: {plural(members.length, "trace")}{" "}
      {members.slice(0, 24).map((each) =>
        "known" in each && each.known === false ? (
          <span key={each.trace_id} class="mono muted" title="not in this store">
            {each.trace_id.slice(0, 8)}
          </span>
        ) : (
          <Link key={each.trace_id} class="mono" to={address(`/trace/${each.trace_id}`, { span: each.span_id })}>
            {each.trace_id.slice(0, 8)}
          </Link>
        ),
      )}
      {members.length > 24 && ` and ${members.length - 24} more`}
    </p>
  );
}
