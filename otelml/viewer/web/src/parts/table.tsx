// A table of rows: sorted by a click on a column, walked with j and k, saved as CSV or JSON.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { text } from "../format";

export interface Column<Row> {
  name: string;
  show: (row: Row) => ComponentChildren;
  value?: (row: Row) => string | number | null | undefined; // to sort by, and for CSV and JSON
  numeric?: boolean;
  wide?: boolean; // takes the room that is left
  narrow?: boolean; // left out on a phone
}

interface Props<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  id: (row: Row, index: number) => string;
  sorted?: [number, "up" | "down"];
  tone?: (row: Row) => string | undefined;
}

function compare(a: unknown, b: unknown): number {
  const [none, other] = [a === null || a === undefined, b === null || b === undefined];
  if (none || other) return Number(none) - Number(other);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

export function Table<Row>({ caption, columns, rows, id, sorted, tone }: Props<Row>) {
  const [order, setOrder] = useState(sorted);
  const by = order ? columns[order[0]]?.value : undefined;
  const shown = by && order ? [...rows].sort((a, b) => compare(by(a), by(b)) * (order[1] === "up" ? 1 : -1)) : rows;
  const sort = (index: number, numeric: boolean | undefined) => {
    const first = numeric ? "down" : "up";
    const other = numeric ? "up" : "down";
    setOrder((old) => [index, old?.[0] === index && old[1] === first ? other : first]);
  };
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={caption}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column, index) => {
              const direction = order?.[0] === index ? order[1] : undefined;
              return (
                <th
                  key={column.name}
                  scope="col"
                  class={classes(column)}
                  aria-sort={direction ? (direction === "up" ? "ascending" : "descending") : undefined}
                >
                  {column.value ? (
                    <button type="button" onClick={() => sort(index, column.numeric)}>
                      <span>{column.name}</span>
                      <span aria-hidden="true" class="arrow">
                        {direction ? (direction === "up" ? "↑" : "↓") : ""}
                      </span>
                    </button>
                  ) : (
                    column.name
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {shown.map((row, index) => (
            <tr key={id(row, index)} class={tone?.(row)}>
              {columns.map((column) => (
                <td key={column.name} class={classes(column)}>
                  {column.show(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function classes<Row>(column: Column<Row>): string | undefined {
  const names = [column.numeric && "num", column.wide && "wide", column.narrow && "narrow"].filter(Boolean);
  return names.length ? names.join(" ") : undefined;
}

/** Attributes as rows of name and value; the values can lead somewhere. */
export function Attributes({
  of,
  onPick,
}: {
  of: Record<string, unknown>;
  onPick?: (key: string, value: unknown) => void;
}) {
  const entries = Object.entries(of).sort(([a], [b]) => a.localeCompare(b));
  if (!entries.length) return null;
  return (
    <dl class="attributes">
      {entries.map(([key, value]) => (
        <div key={key}>
          <dt>{key}</dt>
          <dd>
            {onPick ? (
              <button type="button" class="plain" onClick={() => onPick(key, value)} title={`Search ${key}`}>
                {text(value) || '""'}
              </button>
            ) : (
              text(value) || '""'
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}
