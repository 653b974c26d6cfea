// What can be taken away from a page: tables as CSV and JSON, charts as PNG.
import { useEffect, useRef } from "preact/hooks";
import { colour } from "../theme";

export interface Grid {
  columns: string[];
  rows: (string | number | null | undefined)[][];
}

function save(name: string, data: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(data);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** One cell of CSV. Text that a spreadsheet would take for a formula is led by an apostrophe. */
function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv({ columns, rows }: Grid): string {
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function objects({ columns, rows }: Grid): string {
  const all = rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index] ?? null])));
  return JSON.stringify(all, null, 1);
}

function fileName(title: string, ending: string): string {
  return `${
    title
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "") || "otelml"
  }.${ending}`;
}

/** The charts inside an element one below the other on a ground of the page's colour, with their title and legend. */
function picture(title: string, box: Element): Promise<Blob | null> {
  const charts = [...box.querySelectorAll("canvas")].filter((each) => each.width > 0);
  const scale = window.devicePixelRatio || 1;
  const [edge, head] = [12 * scale, (box.querySelector(".legend") ? 52 : 34) * scale];
  const named = charts.length > 1 ? 20 * scale : 0;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(...charts.map((each) => each.width), 1) + 2 * edge;
  canvas.height = charts.reduce((sum, each) => sum + each.height + named, head) + edge;
  const pen = canvas.getContext("2d");
  if (!pen || !charts.length) return Promise.resolve(null);
  pen.fillStyle = colour("panel");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = colour("text");
  pen.font = `600 ${14 * scale}px system-ui, sans-serif`;
  pen.fillText(title, edge, 22 * scale);
  pen.font = `${11 * scale}px system-ui, sans-serif`;
  legend(pen, box, edge, 42 * scale, scale);
  let top = head;
  for (const each of charts) {
    pen.fillStyle = colour("muted");
    if (named) pen.fillText(nameOf(each), edge, top + 13 * scale);
    pen.drawImage(each, edge, top + named);
    top += each.height + named;
  }
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

function nameOf(chart: HTMLCanvasElement): string {
  return chart.closest("[aria-label]")?.getAttribute("aria-label") ?? "";
}

function legend(pen: CanvasRenderingContext2D, box: Element, left: number, y: number, scale: number): void {
  let x = left;
  for (const swatch of box.querySelector(".legend")?.querySelectorAll<HTMLElement>(".swatch") ?? []) {
    const label = swatch.parentElement?.firstChild?.nextSibling?.textContent ?? "";
    pen.fillStyle = window.getComputedStyle(swatch).getPropertyValue("--tone").trim() || colour("muted");
    pen.fillRect(x, y - 8 * scale, 9 * scale, 9 * scale);
    pen.fillStyle = colour("muted");
    pen.fillText(label, x + 14 * scale, y);
    x += pen.measureText(label).width + 30 * scale;
  }
}

interface Props {
  title: string;
  grid?: () => Grid;
  chart?: () => Element | null | undefined; // what the charts are in
  links?: { csv: string; json: string };
  table?: { shown: boolean; toggle: () => void };
}

export function Export({ title, grid, chart, links, table }: Props) {
  const menu = useRef<HTMLDetailsElement>(null);
  const shut = () => {
    if (menu.current) menu.current.open = false;
  };
  useEffect(() => {
    const away = (event: Event) => {
      if (menu.current?.open && !menu.current.contains(event.target as Node)) shut();
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key === "Escape" && menu.current?.open) {
        shut();
        menu.current.querySelector("summary")?.focus();
      }
    };
    document.addEventListener("click", away);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("click", away);
      document.removeEventListener("keydown", escape);
    };
  }, []);
  const png = async () => {
    const box = chart?.();
    const data = box && (await picture(title, box));
    if (data) save(fileName(title, "png"), data);
    shut();
  };
  const write = (ending: "csv" | "json") => {
    if (!grid) return;
    const made = ending === "csv" ? csv(grid()) : objects(grid());
    save(fileName(title, ending), new Blob([made], { type: ending === "csv" ? "text/csv" : "application/json" }));
    shut();
  };
  return (
    <details class="menu" ref={menu}>
      <summary aria-label={`Table and export of ${title}`} title="Table, export">
        <span aria-hidden="true">⋯</span>
      </summary>
      <div>
        {table && (
          <button type="button" aria-pressed={table.shown} onClick={() => (table.toggle(), shut())}>
            {table.shown ? "As a chart" : "As a table"}
          </button>
        )}
        {grid && (
          <button type="button" onClick={() => write("csv")}>
            CSV
          </button>
        )}
        {grid && (
          <button type="button" onClick={() => write("json")}>
            JSON
          </button>
        )}
        {links && (
          <a href={links.csv} download={fileName(title, "csv")} onClick={shut}>
            CSV
          </a>
        )}
        {links && (
          <a href={links.json} download={fileName(title, "json")} onClick={shut}>
            JSON
          </a>
        )}
        {chart && (
          <button type="button" onClick={() => void png()}>
            PNG
          </button>
        )}
      </div>
    </details>
  );
}
