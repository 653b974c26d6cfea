// One feature's distribution: the reference in grey, what comes now in the accent on top.
import { useCallback } from "preact/hooks";
import { share } from "../format";
import { colour } from "../theme";
import type { Values } from "../types";
import { Canvas, type Sheet } from "./canvas";

interface Props {
  label: string;
  bins: (string | number)[];
  reference: Values;
  now: Values;
  height?: number;
}

function shares(values: Values): number[] {
  const sum = values.reduce<number>((total, each) => total + (each ?? 0), 0);
  return values.map((each) => (sum ? (each ?? 0) / sum : 0));
}

export function Bars({ label, bins, reference, now, height = 64 }: Props) {
  const [before, current] = [shares(reference), shares(now)];
  const size = Math.max(before.length, current.length, 1);
  const top = Math.max(...before, ...current, 1e-9);
  const draw = useCallback(
    ({ pen, width, height }: Sheet) => {
      const wide = width / size;
      const bar = (value: number, at: number, tone: string, inset: number) => {
        pen.fillStyle = colour(tone);
        const tall = (value / top) * (height - 4);
        pen.fillRect(at * wide + inset, height - 1 - tall, Math.max(1, wide - 2 * inset), tall);
      };
      before.forEach((value, at) => bar(value, at, "ref", wide > 8 ? 1 : 0));
      current.forEach((value, at) => bar(value, at, "now", wide * 0.28));
      pen.fillStyle = colour("line");
      pen.fillRect(0, height - 1, width, 1);
    },
    [reference, now, height],
  );
  const said = (x: number, _y: number, width: number) => {
    const at = Math.floor((x / width) * size);
    if (at < 0 || at >= size) return null;
    return `${binName(bins, at, size)}: reference ${share(before[at])}, now ${share(current[at])}`;
  };
  return <Canvas label={label} height={height} draw={draw} onPoint={said} />;
}

/** Bins are named one by one (categories), or by their edges, of which there is one more. */
export function binName(bins: (string | number)[], at: number, size: number): string {
  if (bins.length === size) return String(bins[at] ?? at);
  if (bins.length === size + 1) return `${edge(bins[at])} – ${edge(bins[at + 1])}`;
  if (bins.length === size - 1)
    return at === 0
      ? `< ${edge(bins[0])}`
      : at === size - 1
        ? `≥ ${edge(bins[at - 1])}`
        : `${edge(bins[at - 1])} – ${edge(bins[at])}`;
  return `bin ${at + 1}`;
}

function edge(value: string | number | undefined): string {
  return typeof value === "number" ? Number(value.toPrecision(4)).toLocaleString("en") : String(value ?? "");
}
