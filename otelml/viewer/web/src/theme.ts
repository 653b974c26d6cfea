// Dark or light: as the system says, unless the reader chose. Charts are drawn again when it changes.
import { useEffect, useState } from "preact/hooks";

export type Theme = "dark" | "light";
const KEY = "otelml-theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let chosen = stored();

function stored(): Theme | null {
  try {
    const value = window.localStorage.getItem(KEY);
    return value === "dark" || value === "light" ? value : null;
  } catch {
    return null; // storage may be switched off
  }
}

export function theme(): Theme {
  return chosen ?? (system.matches ? "dark" : "light");
}

function apply(): void {
  document.documentElement.dataset["theme"] = theme();
  for (const listener of listeners) listener();
}

export function toggleTheme(): void {
  chosen = theme() === "dark" ? "light" : "dark";
  try {
    window.localStorage.setItem(KEY, chosen);
  } catch {
    // it then lasts as long as the page
  }
  apply();
}

system.addEventListener("change", apply);
apply();

export function useTheme(): Theme {
  const [now, set] = useState(theme);
  useEffect(() => {
    const listener = () => set(theme());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return now;
}

/** The value of a colour of the style sheet: charts draw with the same ones as the text around them. */
export function colour(name: string): string {
  return window.getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() || "#888";
}

export const STAGES: Record<string, string> = {
  feature_retrieval: "stage-1",
  preprocessing: "stage-2",
  inference: "stage-3",
  postprocessing: "stage-4",
};
