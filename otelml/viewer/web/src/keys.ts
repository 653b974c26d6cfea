// Keyboard shortcuts: one table, which is also what `?` shows.
import { follow, isLive, stand } from "./range";
import { clock } from "./live";
import { toggleTheme } from "./theme";
import { address, go, place, set } from "./url";
import { range } from "./range";

export interface Shortcut {
  keys: string;
  what: string;
}

export const SHORTCUTS: Shortcut[] = [
  { keys: "g m", what: "Models" },
  { keys: "g t", what: "Traces" },
  { keys: "g l", what: "Logs" },
  { keys: "g x", what: "Metrics" },
  { keys: "g s", what: "SLOs and alerts" },
  { keys: "g h", what: "Health of telemetry" },
  { keys: "/", what: "To the search box" },
  { keys: "j  k", what: "Next, previous row" },
  { keys: "Enter", what: "Open the row" },
  { keys: "p", what: "Pause or follow" },
  { keys: "[  ]", what: "Earlier, later" },
  { keys: "e", what: "Errors only (traces)" },
  { keys: "d", what: "Dark or light" },
  { keys: "?", what: "This list" },
  { keys: "Esc", what: "Close, leave the box" },
];

const PAGES: Record<string, string> = { m: "/", t: "/traces", l: "/logs", x: "/metrics", s: "/slos", h: "/health" };
const OFF = "otelml-keys-off";
let before = "";
let help: () => void = () => undefined;

export function keysOff(): boolean {
  try {
    return window.localStorage.getItem(OFF) === "1";
  } catch {
    return false;
  }
}

export function switchKeys(off: boolean): void {
  try {
    window.localStorage.setItem(OFF, off ? "1" : "0");
  } catch {
    // they stay as they were
  }
}

export function pause(): void {
  const here = range(place().query, clock());
  if (isLive()) stand(here.from, here.to);
  else follow("15m");
}

function shift(direction: number): void {
  const here = range(place().query, clock());
  const half = ((here.to - here.from) / 2) * direction;
  stand(here.from + half, here.to + half);
}

function row(step: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")].filter((each) => each.offsetParent !== null);
  const at = rows.findIndex((each) => each === document.activeElement || each.contains(document.activeElement));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

const ACTIONS: Record<string, () => void> = {
  "/": () => document.querySelector<HTMLElement>("[data-search]")?.focus(),
  j: () => row(1),
  k: () => row(-1),
  p: pause,
  "[": () => shift(-1),
  "]": () => shift(1),
  d: toggleTheme,
  e: () => {
    if (place().path === "/traces") set({ errors: place().query.get("errors") ? null : 1, cursor: null });
  },
  "?": () => help(),
};

function writing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName))
  );
}

function pressed(event: KeyboardEvent): void {
  if (event.key === "Escape" && writing(event.target)) (event.target as HTMLElement).blur();
  if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target) || event.defaultPrevented) return;
  if (keysOff() && event.key !== "?") return;
  const page = before === "g" ? PAGES[event.key] : undefined;
  before = event.key;
  const action = page === undefined ? ACTIONS[event.key] : () => go(address(page));
  if (!action) return;
  event.preventDefault();
  before = "";
  action();
}

export function listen(showHelp: () => void): () => void {
  help = showHelp;
  window.addEventListener("keydown", pressed);
  return () => window.removeEventListener("keydown", pressed);
}
