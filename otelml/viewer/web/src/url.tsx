// Where the reader is: the address holds the whole state of a page, so that every page can be shared.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

export interface Place {
  path: string;
  query: URLSearchParams;
}

type Values = Record<string, string | number | null | undefined>;

const listeners = new Set<() => void>();
const KEPT = ["last", "from", "to"]; // the time range goes along from page to page

export function place(): Place {
  return { path: window.location.pathname, query: new URLSearchParams(window.location.search) };
}

function changed(): void {
  for (const listener of listeners) listener();
}

window.addEventListener("popstate", changed);

export function usePlace(): Place {
  const [now, set] = useState(place);
  useEffect(() => {
    const listener = () => set(place());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return now;
}

function written(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** The address of a page: the time range of this one and the values given. */
export function address(path: string, values: Values = {}): string {
  const query = new URLSearchParams();
  const now = place().query;
  for (const key of KEPT) {
    const value = now.get(key);
    if (value !== null) query.set(key, value);
  }
  put(query, values);
  return written(path, query);
}

function put(query: URLSearchParams, values: Values): void {
  for (const [key, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") query.delete(key);
    else query.set(key, String(value));
  }
}

export function go(to: string, replace = false): void {
  if (replace) window.history.replaceState(null, "", to);
  else window.history.pushState(null, "", to);
  changed();
  if (!replace) window.scrollTo(0, 0);
}

/** Changes some of this page's state; the rest stays. */
export function set(values: Values, replace = false): void {
  const { path, query } = place();
  put(query, values);
  const scroll = window.scrollY;
  go(written(path, query), replace);
  window.scrollTo(0, scroll);
}

export const part = encodeURIComponent;

interface LinkProps {
  to: string;
  children: ComponentChildren;
  class?: string;
  "aria-label"?: string;
  "aria-current"?: "page" | undefined;
  "data-row"?: boolean;
}

export function Link({ to, children, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    event.preventDefault();
    go(to);
  };
  return (
    <a href={to} onClick={follow} {...rest}>
      {children}
    </a>
  );
}
