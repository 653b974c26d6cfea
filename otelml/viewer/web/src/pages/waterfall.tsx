// The spans of a trace as a tree beside their bars; logs stand at their time, the critical path is drawn beneath.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { steps } from "../charts/canvas";
import { seconds, text } from "../format";
import { colour } from "../theme";
import type { Log, Span, Trace } from "../types";
import { stageTone } from "./model";

const FIRST = 400; // rows drawn before asking for more

interface Props {
  data: Trace;
  logsOf: Map<string, Log[]> | null;
  chosen: string | null;
  onChoose: (span: string) => void;
}

interface Row {
  span: Span;
  children: number;
}

/** The spans that are not folded away, each with the number of spans below it. */
function visible(spans: Span[], folded: Set<string>): Row[] {
  const rows: Row[] = [];
  let hiddenBelow = Infinity;
  spans.forEach((span, at) => {
    if (span.depth > hiddenBelow) return;
    hiddenBelow = folded.has(span.span_id) ? span.depth : Infinity;
    let children = 0;
    for (let next = at + 1; next < spans.length && (spans[next]?.depth ?? 0) > span.depth; next++) children += 1;
    rows.push({ span, children });
  });
  return rows;
}

export function tone(span: Span): string {
  return span.stage ? stageTone(span.stage) : "other";
}

export function Waterfall({ data, logsOf, chosen, onChoose }: Props) {
  const [folded, setFolded] = useState(new Set<string>());
  const [most, setMost] = useState(FIRST);
  const rows = useMemo(() => visible(data.spans, folded), [data, folded]);
  const length = Math.max(data.duration_s, 1e-9);
  const at = (ns: number) => ((ns - data.start_ns) / 1e9 / length) * 100;
  const fold = (id: string) =>
    setFolded((old) => {
      const next = new Set(old);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  return (
    <div class="waterfall">
      <Ruler length={length} />
      <ol>
        {rows.slice(0, most).map(({ span, children }) => (
          <li key={span.span_id}>
            <SpanRow
              span={span}
              below={children}
              folded={folded.has(span.span_id)}
              at={at}
              chosen={span.span_id === chosen}
              onChoose={onChoose}
              onFold={fold}
            />
            {logsOf?.get(span.span_id)?.map((log) => (
              <LogRow key={String(log.id)} log={log} depth={span.depth} at={at(log.time_ns)} />
            ))}
          </li>
        ))}
        {logsOf?.get("")?.map((log) => (
          <li key={String(log.id)}>
            <LogRow log={log} depth={0} at={at(log.time_ns)} />
          </li>
        ))}
      </ol>
      {rows.length > most && (
        <button type="button" class="button" onClick={() => setMost(most + 2000)}>
          {rows.length - most} more spans
        </button>
      )}
    </div>
  );
}

function Ruler({ length }: { length: number }) {
  return (
    <div class="ruler" aria-hidden="true">
      <span />
      <span class="marks">
        {steps(0, length * 0.93, 5).map((each) => (
          <span key={each} class="mark-at" style={{ left: `${(each / length) * 100}%` }}>
            {seconds(each)}
          </span>
        ))}
      </span>
      <span />
    </div>
  );
}

interface SpanRowProps {
  span: Span;
  below: number;
  folded: boolean;
  at: (ns: number) => number;
  chosen: boolean;
  onChoose: (span: string) => void;
  onFold: (span: string) => void;
}

function SpanRow({ span, below, folded, at, chosen, onChoose, onFold }: SpanRowProps) {
  const row = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (chosen) row.current?.scrollIntoView({ block: "nearest" });
  }, []);
  const from = at(span.start_ns);
  const wide = Math.max(0.15, at(span.start_ns + span.duration_ns) - from);
  const failed = span.status === "error";
  const label = seconds(span.duration_ns / 1e9);
  return (
    <div ref={row} class={`span-row${chosen ? " chosen" : ""}${failed ? " failed" : ""}`}>
      <span class="span-name" style={{ paddingLeft: `${0.25 + Math.min(span.depth, 20) * 0.75}rem` }}>
        {below ? (
          <button
            type="button"
            class="fold"
            aria-expanded={!folded}
            aria-label={`${plus(below)} below ${span.name}`}
            onClick={() => onFold(span.span_id)}
          >
            <span aria-hidden="true">{folded ? "▸" : "▾"}</span>
          </button>
        ) : (
          <span class="fold" />
        )}
        <button type="button" class="plain" data-row aria-pressed={chosen} onClick={() => onChoose(span.span_id)}>
          {failed && (
            <span class="bad" aria-hidden="true">
              ■{" "}
            </span>
          )}
          {failed && <span class="hidden">failed: </span>}
          {span.name || "(no name)"}
          <span class="hidden">, {label}</span>
        </button>
        <span class="muted small service">{span.service}</span>
        {span.orphan && (
          <span class="fair small" title="its parent is not in this store">
            ▲ orphan
          </span>
        )}
      </span>
      <span class="bars" aria-hidden="true" onClick={() => onChoose(span.span_id)}>
        <span
          class={`bar fill-${tone(span)}${failed ? " bar-failed" : ""}`}
          style={{ left: `${from}%`, width: `${wide}%` }}
        />
        {(span.critical ?? []).map(([start, end]) => (
          <span
            key={start}
            class="critical"
            style={{ left: `${at(start)}%`, width: `${Math.max(0.1, at(end) - at(start))}%` }}
          />
        ))}
        {(span.events ?? []).map((event, index) =>
          event.time_ns === undefined ? null : (
            <span
              key={index}
              class={event.name === "exception" ? "event bad" : "event"}
              style={{ left: `${at(event.time_ns)}%` }}
            />
          ),
        )}
      </span>
      <span class="length" aria-hidden="true">
        {label}
      </span>
    </div>
  );
}

function plus(below: number): string {
  return `${below} span${below === 1 ? "" : "s"}`;
}

export function severityTone(severity: number): string {
  if (severity >= 17) return "bad";
  return severity >= 13 ? "fair" : "muted";
}

function LogRow({ log, depth, at }: { log: Log; depth: number; at: number }) {
  const said = text(log.body) || log.event_name;
  return (
    <div class="log-row">
      <span class="span-name" style={{ paddingLeft: `${1.6 + Math.min(depth, 20) * 0.75}rem` }}>
        <span class={`small ${severityTone(log.severity)}`}>{log.severity_text || "LOG"}</span>{" "}
        <span class="said" title={said}>
          {said}
        </span>
      </span>
      <span class="bars" aria-hidden="true">
        <span class={`diamond ${severityTone(log.severity)}`} style={{ left: `${Math.max(0, Math.min(100, at))}%` }} />
      </span>
    </div>
  );
}

const [NAME, ROW, WIDTH] = [300, 20, 1100];

/** The waterfall as a picture in an element, to be saved. */
export function paint(data: Trace): Element {
  const box = document.createElement("div");
  const canvas = document.createElement("canvas");
  box.append(canvas);
  const spans = data.spans.slice(0, FIRST);
  const scale = window.devicePixelRatio || 1;
  canvas.width = WIDTH * scale;
  canvas.height = (spans.length * ROW + 8) * scale;
  const pen = canvas.getContext("2d");
  if (!pen) return box;
  pen.scale(scale, scale);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const room = WIDTH - NAME - 70;
  const x = (ns: number) => NAME + ((ns - data.start_ns) / 1e9 / Math.max(data.duration_s, 1e-9)) * room;
  spans.forEach((span, index) => {
    const y = index * ROW;
    const [left, right] = [x(span.start_ns), x(span.start_ns + span.duration_ns)];
    pen.fillStyle = colour("text");
    pen.fillText(span.name, span.depth * 12, y + ROW / 2, NAME - 12 - span.depth * 12);
    pen.fillStyle = colour(tone(span));
    pen.fillRect(left, y + 4, Math.max(1, right - left), ROW - 9);
    pen.fillStyle = colour("text");
    for (const [from, to] of span.critical ?? []) pen.fillRect(x(from), y + ROW - 4, Math.max(1, x(to) - x(from)), 2);
    pen.fillStyle = span.status === "error" ? colour("bad-mark") : colour("muted");
    pen.fillText(seconds(span.duration_ns / 1e9) + (span.status === "error" ? " ■" : ""), right + 5, y + ROW / 2);
  });
  return box;
}
