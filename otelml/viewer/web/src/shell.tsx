// What every page has around it: the pages, the time range, live or standing still, dark or light, the shortcuts.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useRange } from "./data";
import { clock, count, moment, zone } from "./format";
import { keysOff, listen, pause, SHORTCUTS, switchKeys } from "./keys";
import { usePulse } from "./live";
import { CHOICES, follow, stand, type Range } from "./range";
import { toggleTheme, useTheme } from "./theme";
import { address, Link } from "./url";

const PAGES: [string, string][] = [
  ["/", "Models"],
  ["/traces", "Traces"],
  ["/logs", "Logs"],
  ["/metrics", "Metrics"],
  ["/slos", "SLOs"],
  ["/health", "Health"],
];

interface Props {
  area: string;
  title: string;
  children: ComponentChildren;
}

export function Shell({ area, title, children }: Props) {
  const [help, setHelp] = useState(false);
  useEffect(() => listen(() => setHelp((shown) => !shown)), []);
  useEffect(() => {
    document.title = `${title} · otelml`;
  }, [title]);
  return (
    <>
      <a class="skip" href="#main">
        To the content
      </a>
      <header class="top">
        <Link to={address("/")} class="brand" aria-label="otelml, models">
          <Mark />
          otelml
        </Link>
        <nav aria-label="Pages">
          {PAGES.map(([path, name]) => (
            <Link key={path} to={address(path)} aria-current={path === area ? "page" : undefined}>
              {name}
            </Link>
          ))}
        </nav>
        <Controls onHelp={() => setHelp(true)} />
      </header>
      <Lost />
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <Footer />
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  );
}

function Mark() {
  return (
    <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true" class="mark">
      <path d="M1 11h3l2-7 4 9 2-5h3" />
    </svg>
  );
}

function Controls({ onHelp }: { onHelp: () => void }) {
  const range = useRange();
  const now = useTheme();
  const other = now === "dark" ? "light" : "dark";
  return (
    <div class="controls">
      <Times range={range} />
      <button
        type="button"
        class={range.live ? "live on" : "live"}
        onClick={pause}
        title={range.live ? "Pause (p)" : "Follow (p)"}
        aria-pressed={range.live}
      >
        <span class="dot" aria-hidden="true" />
        Live
      </button>
      <button
        type="button"
        class="icon"
        onClick={toggleTheme}
        aria-label={`Use the ${other} theme`}
        title={`${other} (d)`}
      >
        <span aria-hidden="true">◐</span>
      </button>
      <button type="button" class="icon" onClick={onHelp} aria-label="Keyboard shortcuts" title="Shortcuts (?)">
        <span aria-hidden="true">?</span>
      </button>
    </div>
  );
}

function Times({ range }: { range: Range }) {
  const chosen = (event: Event) => {
    const value = (event.target as HTMLSelectElement).value;
    if (value === "fixed") stand(range.from, range.to);
    else follow(value);
  };
  const known = CHOICES.some(([key]) => key === range.last);
  return (
    <>
      {!range.live && <Fixed range={range} />}
      <select aria-label="Time range" value={range.live ? range.last : "fixed"} onChange={chosen}>
        {range.live && !known && <option value={range.last}>Last {range.last}</option>}
        {CHOICES.map(([key, name]) => (
          <option key={key} value={key}>
            {name}
          </option>
        ))}
        <option value="fixed">From … to …</option>
      </select>
    </>
  );
}

/** A time as `datetime-local` wants it: local, without a zone. */
function local(ms: number): string {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

function Fixed({ range }: { range: Range }) {
  const changed = (from: number, to: number) => {
    if (Number.isFinite(from) && Number.isFinite(to) && to > from) stand(from, to);
  };
  const value = (event: Event) => new Date((event.target as HTMLInputElement).value).getTime();
  return (
    <span class="fixed">
      <input
        type="datetime-local"
        step="1"
        aria-label="From"
        value={local(range.from)}
        onChange={(event) => changed(value(event), range.to)}
      />
      <span aria-hidden="true">–</span>
      <input
        type="datetime-local"
        step="1"
        aria-label="To"
        value={local(range.to)}
        onChange={(event) => changed(range.from, value(event))}
      />
    </span>
  );
}

function Lost() {
  const { refused } = usePulse();
  if (!refused) return null;
  return (
    <p class="lost" role="alert">
      <b>{refused.message}</b> {refused.fix}
    </p>
  );
}

function Footer() {
  const { version } = usePulse();
  const range = useRange();
  if (!version) return <footer class="foot" />;
  return (
    <footer class="foot">
      <span>
        {moment(range.from)} – {range.live ? clock(range.to) : moment(range.to)} · times in {zone()}
      </span>
      <span>
        {version.remote
          ? Object.entries(version.remote)
              .filter(([, address]) => address)
              .map(([name, address]) => `${name} at ${address}`)
              .join(" · ")
          : `${count(version.spans)} spans · ${count(version.logs)} logs · ${count(version.points)} points stored`}
      </span>
      <span>otelml {version.version}</span>
    </footer>
  );
}

function Help({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [off, setOff] = useState(keysOff);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="help" onClose={onClose} aria-labelledby="help-title">
      <h2 id="help-title">Shortcuts</h2>
      <dl>
        {SHORTCUTS.map(({ keys, what }) => (
          <div key={keys}>
            <dt>
              {keys
                .split(" ")
                .filter(Boolean)
                .map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p class="muted">Drag over a chart to look closer. Every address can be shared.</p>
      <label>
        <input
          type="checkbox"
          checked={!off}
          onChange={(event) => {
            switchKeys(!(event.target as HTMLInputElement).checked);
            setOff(!(event.target as HTMLInputElement).checked);
          }}
        />{" "}
        Single-key shortcuts
      </label>
      <button type="button" class="button" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}
