// A chart with its title, what it shows, the same numbers as a table, and its export.
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { Export, type Grid } from "./export";
import { Table } from "./table";

interface Props {
  title: string;
  note?: ComponentChildren;
  grid?: () => Grid;
  wide?: boolean;
  children: ComponentChildren;
  picture?: boolean; // false: there is no canvas inside to save
}

export function Figure({ title, note, grid, wide, children, picture = true }: Props) {
  const [table, setTable] = useState(false);
  const box = useRef<HTMLElement>(null);
  const chart = () => box.current;
  return (
    <figure class={wide ? "panel span" : "panel"} ref={box}>
      <figcaption>
        <h2>{title}</h2>
        {note && <span class="muted note">{note}</span>}
        <Export
          title={title}
          {...(grid ? { grid, table: { shown: table, toggle: () => setTable(!table) } } : {})}
          {...(picture && !table ? { chart } : {})}
        />
      </figcaption>
      {table && grid ? <GridTable caption={title} grid={grid()} /> : children}
    </figure>
  );
}

const MOST = 500;

export function GridTable({ caption, grid }: { caption: string; grid: Grid }) {
  const columns = grid.columns.map((name, index) => ({
    name,
    numeric: grid.rows.some((row) => typeof row[index] === "number"),
    show: (row: Grid["rows"][number]) => row[index] ?? "–",
    value: (row: Grid["rows"][number]) => row[index],
  }));
  return (
    <div class="as-table">
      <Table caption={caption} columns={columns} rows={grid.rows.slice(0, MOST)} id={(_, index) => String(index)} />
      {grid.rows.length > MOST && (
        <p class="muted">
          The first {MOST} of {grid.rows.length} rows; CSV has all of them.
        </p>
      )}
    </div>
  );
}

/** A part of a page that is not a chart. */
export function Panel({
  title,
  note,
  wide,
  aside,
  children,
}: {
  title: string;
  note?: ComponentChildren;
  wide?: boolean;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class={wide ? "panel span" : "panel"}>
      <div class="caption">
        <h2>{title}</h2>
        {note && <span class="muted note">{note}</span>}
        {aside}
      </div>
      {children}
    </section>
  );
}
