// A histogram over time: time to the right, values upwards, darker or lighter where more fell.
import { useCallback } from "preact/hooks";
import { axisClock, clock, count, type Format } from "../format";
import { colour } from "../theme";
import type { Maybe, Values } from "../types";
import type { Grid } from "../parts/export";
import { Canvas, type Sheet } from "./canvas";

interface Props {
  label: string;
  t: number[];
  edges: Maybe[]; // one more than bins; an outer one is null where there is no end
  counts: Values[]; // of each time, of each bin
  format: Format;
  height?: number;
  most?: number; // what counts as full: the same for heatmaps that are compared
  axis?: boolean;
}

const [LEFT, BOTTOM, TOP] = [52, 18, 4];

export function peak(counts: Values[]): number {
  let most = 0;
  for (const row of counts) for (const each of row) most = Math.max(most, each ?? 0);
  return most;
}

/** The bins that hold anything, with one empty bin on each side: far tails without data would squeeze the rest. */
export function occupied(counts: Values[], bins: number): [number, number] {
  let [low, high] = [bins, -1];
  for (const row of counts) {
    row.forEach((each, bin) => {
      if (each) [low, high] = [Math.min(low, bin), Math.max(high, bin)];
    });
  }
  return high < 0 ? [0, bins] : [Math.max(0, low - 1), Math.min(bins, high + 2)];
}

function blend(from: string, to: string, share: number): string {
  const channel = (hex: string, at: number) => parseInt(hex.slice(1 + at * 2, 3 + at * 2), 16);
  const mix = [0, 1, 2].map((at) => Math.round(channel(from, at) + (channel(to, at) - channel(from, at)) * share));
  return `rgb(${mix.join(",")})`;
}

function name(edges: Maybe[], bin: number, format: Format): string {
  const [low, high] = [edges[bin], edges[bin + 1]];
  const open = (value: Maybe | undefined) =>
    value === undefined || value === null || !Number.isFinite(value) || Math.abs(value) > 1e300;
  if (open(low)) return `≤ ${format(high)}`;
  return open(high) ? `> ${format(low)}` : `${format(low)} – ${format(high)}`;
}

export function Heatmap({ label, t, edges, counts, format, height = 150, most, axis = true }: Props) {
  const bins = edges.length - 1;
  const [low, high] = occupied(counts, bins);
  const left = axis ? LEFT : 0;
  const bottom = axis ? BOTTOM : 0;
  const draw = useCallback(
    ({ pen, width, height }: Sheet) => {
      const [wide, tall] = [(width - left) / Math.max(1, t.length), (height - bottom - TOP) / Math.max(1, high - low)];
      const full = most ?? peak(counts);
      const [none, all] = [colour("heat-0"), colour("heat-1")];
      counts.forEach((row, at) => {
        for (let bin = low; bin < high; bin++) {
          const value = row[bin] ?? 0;
          pen.fillStyle = value ? blend(none, all, 0.15 + 0.85 * Math.sqrt(value / full)) : colour("heat-none");
          const x = Math.round(left + at * wide);
          const y = Math.round(height - bottom - (bin - low + 1) * tall);
          const [right, under] = [Math.round(left + (at + 1) * wide), Math.round(height - bottom - (bin - low) * tall)];
          pen.fillRect(x, y, right - x - (wide > 6 ? 1 : 0), under - y - (tall > 6 ? 1 : 0));
        }
      });
      if (!axis) return;
      pen.fillStyle = colour("muted");
      pen.textBaseline = "middle";
      pen.textAlign = "right";
      const every = Math.max(1, Math.ceil(20 / tall));
      for (let edge = low; edge <= high; edge += every) {
        const value = edges[edge];
        if (value !== undefined && value !== null && Number.isFinite(value) && Math.abs(value) < 1e300)
          pen.fillText(format(value), left - 6, Math.max(6, height - bottom - (edge - low) * tall));
      }
      pen.textBaseline = "bottom";
      pen.textAlign = "left";
      const columns = Math.max(1, Math.ceil(70 / wide));
      const step = (((t[1] ?? 0) - (t[0] ?? 0)) / 1e6) * columns;
      let last = "";
      for (let at = 0; at < t.length - columns * 0.7; at += columns) {
        const said = axisClock((t[at] ?? 0) / 1e6, step);
        if (said !== last) pen.fillText(said, left + at * wide, height);
        last = said;
      }
    },
    [t, edges, counts, most, axis, format],
  );
  const said = (x: number, y: number, width: number) => {
    const at = Math.floor(((x - left) / (width - left)) * t.length);
    const bin = low + Math.floor(((height - bottom - y) / (height - bottom - TOP)) * (high - low));
    if (at < 0 || at >= t.length || bin < low || bin >= high) return null;
    return `${clock((t[at] ?? 0) / 1e6)}  ${name(edges, bin, format)}: ${count(counts[at]?.[bin] ?? 0)}`;
  };
  return <Canvas label={label} height={height} draw={draw} onPoint={said} />;
}

export function heatmapGrid(t: number[], edges: Maybe[], counts: Values[], format: Format): Grid {
  const bins = edges.slice(1).map((_, bin) => name(edges, bin, format));
  return {
    columns: ["time", ...bins],
    rows: t.map((at, index) => [new Date(at / 1e6).toISOString(), ...bins.map((_, bin) => counts[index]?.[bin] ?? 0)]),
  };
}
