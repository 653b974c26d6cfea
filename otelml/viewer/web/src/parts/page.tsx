// How each page begins: its question answered in a sentence; what is shown while there is no answer; how to send data.
import type { ComponentChildren } from "preact";
import { useRange, type Answer } from "../data";
import { ago, moment } from "../format";
import { usePulse } from "../live";
import { stand } from "../range";
import { Export } from "./export";

interface HeadProps {
  title: ComponentChildren;
  answer?: ComponentChildren;
  exports?: { title: string; csv: string; json: string };
  children?: ComponentChildren;
}

export function Head({ title, answer, exports, children }: HeadProps) {
  return (
    <div class="head">
      <div class="title">
        <h1>{title}</h1>
        {children}
        {exports && <Export title={exports.title} links={exports} />}
      </div>
      {answer && <p class="answer">{answer}</p>}
    </div>
  );
}

/** The page's content when its data is there; else why not, and what to do. */
interface WhenProps<T> {
  answer: Answer<T>;
  empty: (data: T) => boolean;
  signal: string;
  clear?: (() => void) | undefined; // takes away what narrows the page
  children: (data: T) => ComponentChildren;
}

export function When<T>({ answer, empty, signal, clear, children }: WhenProps<T>) {
  const { version } = usePulse();
  const { data, refused } = answer;
  if (refused && version?.empty) return <SendSome />;
  if (refused && !data) {
    return (
      <div class="teach" role="alert">
        <h2>{refused.message}</h2>
        <p>{refused.fix}</p>
      </div>
    );
  }
  if (!data) return <Waiting />;
  if (!empty(data))
    return (
      <>
        {children(data)}
        <Notes of={data} />
      </>
    );
  const elsewhere = version && !version.empty && version.last_ns !== null;
  if (clear || elsewhere)
    return (
      <>
        {clear ? <NoMatch signal={signal} clear={clear} /> : <Elsewhere signal={signal} />}
        <Notes of={data} />
      </>
    );
  return <SendSome />;
}

/** What could not be told, of answers that a running stack was asked for. */
function Notes({ of }: { of: unknown }) {
  const notes = (of as { notes?: string[] }).notes ?? [];
  if (!notes.length) return null;
  return (
    <ul class="under muted" aria-label="Notes">
      {notes.map((note) => (
        <li key={note}>{note}</li>
      ))}
    </ul>
  );
}

function Waiting() {
  return (
    <div class="waiting" aria-busy="true">
      <span class="hidden">Loading</span>
    </div>
  );
}

function NoMatch({ signal, clear }: { signal: string; clear: () => void }) {
  return (
    <div class="teach">
      <h2>No {signal} in this time range</h2>
      <button type="button" class="button" onClick={clear}>
        Clear the search
      </button>
    </div>
  );
}

function Elsewhere({ signal }: { signal: string }) {
  const { version } = usePulse();
  const range = useRange();
  const last = (version?.last_ns ?? 0) / 1e6;
  const current = (version?.now_ns ?? 0) / 1e6;
  return (
    <div class="teach">
      <h2>No {signal} in this time range</h2>
      {version?.remote && <p>It was looked for where otelml view was told to read. Another range may have some.</p>}
      {last < range.from && (
        <p>
          The latest telemetry is of {moment(last)} ({ago(last, current)}).{" "}
          <button type="button" class="button" onClick={() => stand(last - 9e5, last + 1e3)}>
            Show the 15 minutes before it
          </button>
        </p>
      )}
      {!version?.remote && last >= range.from && <p>Other telemetry is there. Three lines send all of it:</p>}
      {!version?.remote && <Lines />}
    </div>
  );
}

export function SendSome() {
  return (
    <div class="teach">
      <h2>Nothing has arrived yet</h2>
      <p>This page fills by itself. Three lines send some:</p>
      <Lines />
    </div>
  );
}

function Lines() {
  const { version } = usePulse();
  const endpoint = version?.otlp.http ?? "http://localhost:4318";
  return (
    <>
      <pre tabIndex={0}>
        <code>
          pip install otelml{"\n"}
          export OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}
          {"\n"}
          otelml run --service-name my-model -- python app.py
        </code>
      </pre>
      <p class="muted">
        Any OpenTelemetry SDK, in any language, can send to {endpoint} (HTTP)
        {version?.otlp.grpc ? ` or ${version.otlp.grpc} (gRPC)` : ""}. With nothing at hand: <code>otelml demo</code>
      </p>
    </>
  );
}

const SHAPES: Record<string, [string, string]> = {
  good: ["●", "good"],
  fair: ["▲", "fair"],
  bad: ["■", "bad"],
  quiet: ["○", "muted"],
};

/** Health in a colour and a shape: nobody needs to see the colour. */
export function Sign({ of, children }: { of: "good" | "fair" | "bad" | "quiet"; children: ComponentChildren }) {
  const [shape, tone] = SHAPES[of] ?? ["○", "muted"];
  return (
    <span class={`sign ${tone}`}>
      <span aria-hidden="true">{shape}</span> {children}
    </span>
  );
}
