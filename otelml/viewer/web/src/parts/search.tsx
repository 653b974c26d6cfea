// The search box of traces and logs: key=value, completed from what was received.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { get } from "../api";
import { clock } from "../live";
import { nanoseconds, range } from "../range";
import { place, set } from "../url";

interface Offer {
  text: string; // what the word becomes
  shown: string;
  count: number | null;
}

const OWN = ["model", "version", "service", "name", "status", "duration", "severity", "event"];
const WORD = /(?:[^\s"]|"[^"]*"?)*$/; // the word being written, quotes included
const PAIR = /^([^=!<>~"]+)(!=|>=|<=|=|>|<|~)(.*)$/;

function quoted(value: string): string {
  return /[\s"]/.test(value) ? `"${value.replaceAll('"', '\\"')}"` : value;
}

async function offers(signal: string, word: string, stop: AbortSignal): Promise<Offer[]> {
  const here = range(place().query, clock());
  const times = { from: nanoseconds(here.from), to: nanoseconds(here.to) };
  const pair = PAIR.exec(word);
  if (pair) {
    const [, key = "", operator = "=", value = ""] = pair;
    const answer = await get<{ values: { value: unknown; count: number }[] }>(
      "/api/values",
      { signal, key, prefix: value.replaceAll('"', ""), ...times },
      stop,
    );
    return answer.values.map((each) => ({
      text: `${key}${operator}${quoted(String(each.value))} `,
      shown: String(each.value),
      count: each.count,
    }));
  }
  const answer = await get<{ keys: { key: string; count: number }[] }>(
    "/api/attributes",
    { signal, prefix: word, ...times },
    stop,
  );
  const own = OWN.filter((key) => key.startsWith(word) && !answer.keys.some((each) => each.key === key));
  return [
    ...own.map((key) => ({ text: `${key}=`, shown: key, count: null })),
    ...answer.keys.map(({ key, count }) => ({ text: `${key}=`, shown: key, count })),
  ];
}

const MOST = 12;

export function Search({ signal, label, example }: { signal: "traces" | "logs"; label: string; example: string }) {
  const written = place().query.get("q") ?? "";
  const [value, setValue] = useState(written);
  const [list, setList] = useState<Offer[]>([]);
  const [at, setAt] = useState(-1);
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => setValue(written), [written]);

  const word = WORD.exec(value)?.[0] ?? "";
  useEffect(() => {
    if (!open) return;
    const stop = new AbortController();
    const timer = window.setTimeout(async () => {
      try {
        setList((await offers(signal, word, stop.signal)).slice(0, MOST));
        setAt(-1);
      } catch {
        setList([]); // nothing to offer: the box works without
      }
    }, 80);
    return () => {
      window.clearTimeout(timer);
      stop.abort();
    };
  }, [word, open, signal]);

  const search = (query: string) => {
    setOpen(false);
    set({ q: query.trim(), cursor: null });
  };
  const take = (offer: Offer) => {
    const next = value.slice(0, value.length - word.length) + offer.text;
    setValue(next);
    setAt(-1);
    box.current?.focus();
    if (offer.text.endsWith(" ")) search(next);
  };
  const key = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step && list.length) {
      event.preventDefault();
      setOpen(true);
      setAt((old) => (old + step + list.length + (old < 0 && step < 0 ? 1 : 0)) % list.length);
    }
    const chosen = list[at];
    if (event.key === "Enter") {
      if (open && chosen) take(chosen);
      else search(value);
    }
    if (event.key === "Tab" && open && chosen) {
      event.preventDefault();
      take(chosen);
    }
    if (event.key === "Escape") setOpen(false);
  };
  const shown = open && list.length > 0;
  return (
    <div class="search" role="search">
      <input
        ref={box}
        type="text"
        data-search
        role="combobox"
        aria-label={label}
        aria-expanded={shown}
        aria-controls={`${id}-list`}
        aria-activedescendant={shown && at >= 0 ? `${id}-${at}` : undefined}
        aria-autocomplete="list"
        autocomplete="off"
        spellcheck={false}
        placeholder={example}
        value={value}
        onInput={(event) => {
          setValue((event.target as HTMLInputElement).value);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={key}
      />
      {written && (
        <button type="button" class="icon clear" aria-label="Clear the search" onClick={() => search("")}>
          <span aria-hidden="true">✕</span>
        </button>
      )}
      <ul id={`${id}-list`} role="listbox" aria-label="Completions" hidden={!shown}>
        {list.map((offer, index) => (
          <li
            key={offer.text}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onMouseDown={(event) => {
              event.preventDefault();
              take(offer);
            }}
          >
            <span>{offer.shown}</span>
            {offer.count !== null && <span class="muted">{offer.count.toLocaleString("en")}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Adds one condition to the search of a page of this signal. */
export function narrowed(query: string, key: string, value: unknown): string {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return `${query} ${key}=${quoted(text)}`.trim();
}
