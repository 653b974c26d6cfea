// Numbers and times as people read them: sensible digits, always a unit.
import type { Maybe } from "./types";

export const NONE = "–";
const THIN = "\u202f"; // a narrow space that does not break

function digits(value: number, significant = 3): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  const places = Math.max(0, Math.min(20, significant - 1 - Math.floor(Math.log10(size))));
  return minus(value.toLocaleString("en", { minimumFractionDigits: 0, maximumFractionDigits: places }));
}

function minus(text: string): string {
  return text.replace("-", "\u2212");
}

export type Format = (value: Maybe | undefined) => string;

function known(form: (value: number) => string): Format {
  return (value) => (value === null || value === undefined || !Number.isFinite(value) ? NONE : form(value));
}

export const seconds = known((value) => {
  const size = Math.abs(value);
  if (size === 0) return `0${THIN}s`;
  if (size < 1e-6) return `${digits(value * 1e9)}${THIN}ns`;
  if (size < 9.995e-4) return `${digits(value * 1e6)}${THIN}µs`;
  if (size < 0.9995) return `${digits(value * 1e3)}${THIN}ms`;
  if (size < 120) return `${digits(value)}${THIN}s`;
  if (size < 7200) return `${digits(value / 60)}${THIN}min`;
  if (size < 172800) return `${digits(value / 3600)}${THIN}h`;
  return `${digits(value / 86400)}${THIN}d`;
});

export const number = known((value) => {
  const size = Math.abs(value);
  if (size >= 1e9) return `${digits(value / 1e9)}${THIN}G`;
  if (size >= 1e6) return `${digits(value / 1e6)}${THIN}M`;
  if (size > 0 && size < 1e-4) return value.toExponential(2);
  return Number.isInteger(value) ? minus(value.toLocaleString("en")) : digits(value);
});

export const count = known((value) => Math.round(value).toLocaleString("en"));
export const share = known((value) => `${digits(value * 100, Math.abs(value) < 0.1 ? 2 : 3)}${THIN}%`);
export const rate = known((value) => `${digits(value)}${THIN}/s`);

export const bytes = known((value) => {
  const names = ["B", "kB", "MB", "GB", "TB"];
  let [size, index] = [value, 0];
  while (Math.abs(size) >= 1000 && index < names.length - 1) [size, index] = [size / 1000, index + 1];
  return `${digits(size)}${THIN}${names[index]}`;
});

/** How to write values of a unit (UCUM, as OpenTelemetry writes units). */
export function unitFormat(unit: string, perSecond = false): Format {
  const key = `${unit}|${perSecond}`;
  const form = formats.get(key) ?? formatOf(unit, perSecond);
  formats.set(key, form);
  return form;
}

const formats = new Map<string, Format>(); // one for each unit: charts are made anew when theirs changes

function formatOf(unit: string, perSecond: boolean): Format {
  if (perSecond)
    return unit === "By" ? known((v) => `${bytes(v)}/s`) : unit === "s" ? known((v) => `${seconds(v)}/s`) : rate;
  if (unit === "s") return seconds;
  if (unit === "ms") return known((value) => seconds(value / 1e3));
  if (unit === "ns") return known((value) => seconds(value / 1e9));
  if (unit === "By") return bytes;
  if (unit === "%") return known((value) => `${digits(value)}${THIN}%`);
  if (unit === "share") return share;
  if (unit === "1/s" || unit === "/s") return rate;
  const noun = unit.startsWith("{") || unit === "1" || unit === "" ? "" : `${THIN}${unit}`;
  return known((value) => `${number(value)}${noun}`);
}

const clockParts: Intl.DateTimeFormatOptions = {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
};
const clockForm = new Intl.DateTimeFormat("en-GB", clockParts);
const dateForm = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", ...clockParts });

export function clock(ms: number, fractions = false): string {
  const text = clockForm.format(ms);
  return fractions ? `${text}.${String(Math.floor(((ms % 1000) + 1000) % 1000)).padStart(3, "0")}` : text;
}

export function moment(ms: number, now = Date.now()): string {
  return new Date(ms).toDateString() === new Date(now).toDateString() ? clock(ms) : dateForm.format(ms);
}

export function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** A time for an axis whose marks are `step` milliseconds apart. */
export function axisClock(ms: number, step: number): string {
  return step < 60_000 ? clock(ms) : clock(ms).slice(0, 5);
}

/** The length of a range of time, roundly. */
export function roundly(value: number): string {
  const units: [number, string][] = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
  ];
  const [size, name] = units.find(([each]) => value >= 1.95 * each) ?? [1, "s"];
  return `${Math.round(value / size)}${THIN}${name}`;
}

/** How long ago, in words: what matters is the order of size. */
export function ago(ms: number, now: number): string {
  const past = (now - ms) / 1000;
  if (past < 10) return "now";
  if (past < 90) return `${Math.round(past)}${THIN}s ago`;
  if (past < 5400) return `${Math.round(past / 60)}${THIN}min ago`;
  if (past < 129600) return `${Math.round(past / 3600)}${THIN}h ago`;
  return `${Math.round(past / 86400)}${THIN}d ago`;
}

export function ratio(value: Maybe | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? NONE : `×${digits(value)}`;
}

/** Any value of an attribute as text. */
export function text(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
