// Everything one span says.
import { clock, seconds, text } from "../format";
import { Attributes } from "../parts/table";
import { narrowed } from "../parts/search";
import type { Log, Span, Trace } from "../types";
import { address, go, Link } from "../url";
import { severityTone } from "./waterfall";

const KINDS = ["", "internal", "server", "client", "producer", "consumer"];

interface Props {
  span: Span;
  trace: Trace;
  logs: Log[];
  onClose: () => void;
}

export function Detail({ span, trace, logs, onClose }: Props) {
  const kind = typeof span.kind === "number" ? KINDS[span.kind] : span.kind;
  const own = (span.critical ?? []).reduce((sum, [from, to]) => sum + to - from, 0) / 1e9;
  return (
    <aside class="panel detail" aria-label={`Span ${span.name}`}>
      <div class="caption">
        <h2>{span.name || "(no name)"}</h2>
        <button type="button" class="icon" aria-label="Close the span" onClick={onClose}>
          <span aria-hidden="true">✕</span>
        </button>
      </div>
      <p class="muted">
        {span.service}
        {kind ? ` · ${kind}` : ""} · {seconds(span.duration_ns / 1e9)} from{" "}
        {seconds((span.start_ns - trace.start_ns) / 1e9)}
        {own > 0 && ` · ${seconds(own)} on the critical path`}
      </p>
      {span.status === "error" && <p class="bad">■ {span.status_message || "failed"}</p>}
      <Attributes
        of={span.attributes}
        onPick={(key, value) => go(address("/traces", { q: narrowed("", key, value) }))}
      />
      {(span.events?.length ?? 0) > 0 && <h3>Events</h3>}
      {(span.events ?? []).map((event, index) => (
        <div class="event-box" key={index}>
          <p>
            {event.name}{" "}
            {event.time_ns !== undefined && (
              <span class="muted">at {seconds((event.time_ns - trace.start_ns) / 1e9)}</span>
            )}
          </p>
          <Attributes of={event.attributes ?? {}} />
        </div>
      ))}
      {(span.links?.length ?? 0) > 0 && <h3>Links</h3>}
      <ul class="links">
        {(span.links ?? []).map((each) => (
          <li key={each.trace_id + each.span_id}>
            {each.known === false ? (
              <span class="mono muted">{each.trace_id.slice(0, 16)} (not in this store)</span>
            ) : (
              <Link class="mono" to={address(`/trace/${each.trace_id}`, { span: each.span_id })}>
                {each.trace_id.slice(0, 16)}
              </Link>
            )}
          </li>
        ))}
      </ul>
      {logs.length > 0 && <h3>Logs</h3>}
      {logs.map((log) => (
        <p key={String(log.id)} class="log-line">
          <span class="muted">{clock(log.time_ns / 1e6, true)}</span>{" "}
          <span class={severityTone(log.severity)}>{log.severity_text}</span> {text(log.body) || log.event_name}
        </p>
      ))}
      <p class="muted small mono">
        trace {trace.trace_id}
        <br />
        span {span.span_id}
      </p>
    </aside>
  );
}
