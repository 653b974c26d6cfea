// Traces as dots: when, and how long on a logarithmic scale; a click opens the nearest.
import { useCallback, useRef } from "preact/hooks";
import { axisClock, clock, seconds } from "../format";
import type { Range } from "../range";
import { colour } from "../theme";
import { Canvas, type Sheet } from "./canvas";

export type Dot = [start_ns: number, duration_s: number, error: number, trace_id: string];

interface Props {
  label: string;
  dots: Dot[];
  range: Range;
  onOpen: (trace: string) => void;
  height?: number;
}

const [LEFT, BOTTOM, TOP] = [52, 18, 8];
const REACH = 1e4; // what is shorter than the longest by more stands at the bottom

function limits(dots: Dot[]): [number, number] {
  let [low, high] = [Infinity, 0];
  for (const [, length] of dots) if (length > 0) [low, high] = [Math.min(low, length), Math.max(high, length)];
  if (!(high > 0)) return [-3, 0];
  low = Math.max(low, high / REACH);
  const [bottom, top] = [Math.floor(Math.log10(low) * 2) / 2, Math.ceil(Math.log10(high) * 2 + 0.1) / 2];
  return top > bottom ? [bottom, top] : [bottom, bottom + 1];
}

export function Scatter({ label, dots, range, onOpen, height = 170 }: Props) {
  const [low, high] = limits(dots);
  const where = useRef((_: Dot): [number, number] => [0, 0]);
  const draw = useCallback(
    ({ pen, width, height }: Sheet) => {
      const [wide, tall] = [width - LEFT - 8, height - BOTTOM - TOP];
      const level = (log: number) => TOP + tall - ((log - low) / (high - low)) * tall;
      where.current = ([start, length]) => [
        LEFT + ((start / 1e6 - range.from) / (range.to - range.from)) * wide,
        level(Math.max(low, Math.log10(Math.max(length, 1e-9)))),
      ];
      pen.textBaseline = "middle";
      pen.textAlign = "right";
      for (let log = Math.ceil(low * 2) / 2; log <= high; log += high - low > 3 ? 1 : 0.5) {
        pen.fillStyle = colour("grid");
        pen.fillRect(LEFT, Math.round(level(log)), wide, 1);
        pen.fillStyle = colour("muted");
        pen.fillText(
          seconds(Number((10 ** log).toPrecision(1))),
          LEFT - 6,
          level(Math.log10(Number((10 ** log).toPrecision(1)))),
        );
      }
      pen.textBaseline = "bottom";
      pen.textAlign = "left";
      const columns = Math.max(2, Math.floor(wide / 110));
      for (let at = 0; at < columns; at++)
        pen.fillText(
          axisClock(range.from + ((range.to - range.from) * at) / columns, (range.to - range.from) / columns),
          LEFT + (wide * at) / columns,
          height,
        );
      marks(pen, dots, where.current);
    },
    [dots, range.from, range.to],
  );
  const nearest = (x: number, y: number): Dot | null => {
    let [best, distance] = [null as Dot | null, 16];
    for (const dot of dots) {
      const [left, top] = where.current(dot);
      const away = Math.hypot(left - x, top - y);
      if (away < distance) [best, distance] = [dot, away];
    }
    return best;
  };
  return (
    <Canvas
      label={label}
      height={height}
      draw={draw}
      onPoint={(x, y) => {
        const dot = nearest(x, y);
        return dot && `${clock(dot[0] / 1e6, true)}  ${seconds(dot[1])}${dot[2] ? "  error" : ""}`;
      }}
      onPick={(x, y) => {
        const dot = nearest(x, y);
        if (dot) onOpen(dot[3]);
      }}
    />
  );
}

function marks(pen: CanvasRenderingContext2D, dots: Dot[], where: (dot: Dot) => [number, number]): void {
  pen.globalAlpha = dots.length > 600 ? 0.45 : 0.75;
  pen.fillStyle = colour("now");
  for (const dot of dots) {
    if (dot[2]) continue;
    const [x, y] = where(dot);
    pen.beginPath();
    pen.arc(x, y, 2.2, 0, 7);
    pen.fill();
  }
  pen.globalAlpha = 1;
  pen.fillStyle = colour("bad-mark");
  for (const dot of dots) {
    if (!dot[2]) continue;
    const [x, y] = where(dot);
    pen.fillRect(x - 3, y - 3, 6, 6); // a square: errors differ by more than colour
  }
}
