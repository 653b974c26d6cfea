// Lines over time, drawn by uPlot: percentiles, rates, shares; dots on top lead to traces; dragging looks closer.
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Format } from "../format";
import { clock, moment } from "../format";
import { stand, type Range } from "../range";
import { colour, useTheme } from "../theme";
import type { Exemplar, Values } from "../types";
import type { Grid } from "../parts/export";

export interface Series {
  label: string;
  values: Values;
  tone: string; // name of a colour of the style sheet
  dash?: boolean;
  fill?: boolean;
  thin?: boolean; // a bound of another one: drawn, and not in the legend
}

interface Props {
  label: string; // what a reader who cannot see it is told
  t: number[];
  series: Series[];
  format: Format;
  range: Range;
  height?: number;
  dots?: Exemplar[];
  onDot?: (dot: Exemplar) => void;
  from0?: boolean;
  top?: number; // the axis reaches at least this
  legend?: boolean;
}

function alpha(hex: string, share: string): string {
  return /^#[0-9a-f]{6}$/i.test(hex) ? hex + share : "transparent";
}

function axes(format: Format): uPlot.Axis[] {
  const shared = { stroke: colour("muted"), font: "11px system-ui, sans-serif", ticks: { show: false } };
  const grid = { stroke: colour("grid"), width: 1 };
  return [
    {
      ...shared,
      grid: { show: false },
      size: 22,
      space: 70,
      values: (_u, splits) => splits.map((at) => axisTime(at, splits)),
    },
    {
      ...shared,
      grid,
      size: (u, values) => width(u, values),
      space: 28,
      gap: 4,
      values: (_u, splits) => splits.map((each) => format(each)),
    },
  ];
}

function axisTime(at: number, splits: number[]): string {
  const step = (splits[1] ?? 0) - (splits[0] ?? 0);
  const text = clock(at * 1000);
  if (step >= 86400) return moment(at * 1000, 0).split(",")[0] ?? text;
  return step >= 60 ? text.slice(0, 5) : text;
}

function width(u: uPlot, values: string[] | null): number {
  if (!values) return 40;
  u.ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  return Math.max(30, ...values.map((each) => u.ctx.measureText(each).width / devicePixelRatio + 10));
}

function options(
  props: Props,
  size: { width: number; height: number },
  limits: { current: Range },
  hooks: uPlot.Hooks.Arrays,
): uPlot.Options {
  return {
    ...size,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 5 } },
    select: { show: true, left: 0, top: 0, width: 0, height: 0 },
    scales: {
      x: { time: true, range: () => [limits.current.from / 1000, limits.current.to / 1000] },
      y: { range: (_u, low, high) => vertical(props, low, high) },
    },
    axes: axes(props.format),
    series: [
      {},
      ...props.series.map((each): uPlot.Series => {
        const stroke = colour(each.tone);
        return {
          label: each.label,
          stroke,
          width: each.thin ? 1 : 1.5,
          ...(each.dash ? { dash: [4, 3] } : {}),
          ...(each.fill ? { fill: alpha(stroke, "22") } : {}),
          points: { show: (_u, _i, from, to) => to - from < 2 },
          spanGaps: false,
        };
      }),
    ],
    hooks,
  };
}

function vertical(props: Props, low: number | null, high: number | null): [number, number] {
  const most = Math.max(high ?? 0, props.top ?? 0, ...(props.dots ?? []).map((dot) => dot.value));
  const least = props.from0 === false ? (low ?? 0) : Math.min(0, low ?? 0);
  return most > least ? [least, most + (most - least) * 0.06] : [least, least + 1];
}

function place(u: uPlot, dot: Exemplar): [number, number] {
  return [u.valToPos(dot.time_ns / 1e9, "x", true), u.valToPos(dot.value, "y", true)];
}

function drawDots(u: uPlot, dots: Exemplar[]): void {
  const pen = u.ctx;
  pen.save();
  pen.fillStyle = colour("panel");
  pen.strokeStyle = colour("exemplar");
  pen.lineWidth = 1.5 * devicePixelRatio;
  for (const dot of dots) {
    const [x, y] = place(u, dot);
    pen.beginPath();
    pen.arc(x, y, 3.5 * devicePixelRatio, 0, 7);
    pen.fill();
    pen.stroke();
  }
  pen.restore();
}

function nearest(u: uPlot, dots: Exemplar[], left: number, top: number): Exemplar | null {
  let [best, distance] = [null as Exemplar | null, 14];
  for (const dot of dots) {
    const away = Math.hypot(u.valToPos(dot.time_ns / 1e9, "x") - left, u.valToPos(dot.value, "y") - top);
    if (away < distance) [best, distance] = [dot, away];
  }
  return best;
}

export function LineChart(props: Props) {
  const { label, t, series, format, range, height = 150, dots, legend = true } = props;
  const theme = useTheme();
  const box = useRef<HTMLDivElement>(null);
  const words = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const limits = useRef(range);
  limits.current = range;
  const data = useMemo(
    (): uPlot.AlignedData => [t.map((at) => at / 1e9), ...series.map((each) => each.values)],
    [t, series],
  );
  const shape = series.map((each) => `${each.label}|${each.tone}|${each.dash}|${each.fill}`).join();

  const read = (index: number | null) => {
    const rows = words.current?.querySelectorAll("[data-value]") ?? [];
    const { series: now, format: form, t: times } = latest.current;
    rows.forEach((row, at) => {
      const values = now[at]?.values ?? [];
      row.textContent = form(index === null ? lastWhole(values) : (values[index] ?? null));
    });
    const when = words.current?.querySelector("[data-when]");
    if (when) when.textContent = index === null || times[index] === undefined ? "" : clock(times[index] / 1e6);
  };

  useEffect(() => {
    const host = box.current;
    if (!host) return;
    const u = new uPlot(
      options(latest.current, { width: host.clientWidth || 300, height }, limits, {
        draw: [(self) => drawDots(self, latest.current.dots ?? [])],
        setCursor: [(self) => read(self.cursor.idx ?? null)],
        setSelect: [
          (self) => {
            if (self.select.width < 4) return;
            stand(
              self.posToVal(self.select.left, "x") * 1e3,
              self.posToVal(self.select.left + self.select.width, "x") * 1e3,
            );
          },
        ],
      }),
      data,
      host,
    );
    const click = () => {
      const found = nearest(u, latest.current.dots ?? [], u.cursor.left ?? -1, u.cursor.top ?? -1);
      if (found) latest.current.onDot?.(found);
    };
    u.over.addEventListener("click", click);
    chart.current = u;
    const watch = new ResizeObserver(() => {
      if (host.clientWidth && host.clientWidth !== u.width) u.setSize({ width: host.clientWidth, height });
    });
    watch.observe(host);
    return () => {
      watch.disconnect();
      u.destroy();
      chart.current = null;
    };
  }, [theme, shape, height, format]);

  useEffect(() => {
    chart.current?.setData(data);
    read(null);
  }, [data, range.from, range.to, dots]);

  return (
    <div class="line">
      <div ref={box} role="img" aria-label={label} class={dots?.length ? "plot dotted" : "plot"} />
      {legend && (
        <div class="legend" ref={words}>
          {series.map((each) => (
            <span key={each.label} hidden={each.thin}>
              <i class={`swatch tone-${each.tone}${each.dash ? " dashed" : ""}`} />
              {each.label} <b data-value>{format(lastWhole(each.values))}</b>
            </span>
          ))}
          <span class="muted" data-when />
        </div>
      )}
    </div>
  );
}

/** The last value but that of the latest bin, which still fills. */
export function lastWhole(values: Values): number | null {
  return lastKnown(values.length > 2 ? values.slice(0, -1) : values);
}

export function lastKnown(values: Values): number | null {
  for (let index = values.length - 1; index >= 0; index--) {
    const value = values[index];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** The chart's numbers as a table. */
export function lineGrid(t: number[], series: { label: string; values: Values }[]): Grid {
  return {
    columns: ["time", ...series.map((each) => each.label)],
    rows: t.map((at, index) => [new Date(at / 1e6).toISOString(), ...series.map((each) => each.values[index] ?? null)]),
  };
}
