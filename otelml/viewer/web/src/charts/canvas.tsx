// A canvas of its own: as wide as its place, sharp on any screen, drawn again with its data, its place and the theme.
import { useEffect, useRef } from "preact/hooks";
import { useTheme } from "../theme";

export interface Sheet {
  pen: CanvasRenderingContext2D;
  width: number;
  height: number;
}

interface Props {
  label: string;
  height: number;
  draw: (sheet: Sheet) => void;
  onPoint?: (x: number, y: number, width: number) => string | null; // what is under the pointer, in words
  onPick?: (x: number, y: number, width: number) => void;
}

export function Canvas({ label, height, draw, onPoint, onPick }: Props) {
  const theme = useTheme();
  const canvas = useRef<HTMLCanvasElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const latest = useRef(draw);
  latest.current = draw;

  const paint = () => {
    const node = canvas.current;
    const pen = node?.getContext("2d");
    if (!node || !pen || !node.clientWidth) return;
    const scale = window.devicePixelRatio || 1;
    node.width = Math.round(node.clientWidth * scale);
    node.height = Math.round(height * scale);
    pen.scale(scale, scale);
    pen.font = "11px system-ui, sans-serif";
    latest.current({ pen, width: node.clientWidth, height });
  };
  useEffect(paint, [theme, draw, height]);
  useEffect(() => {
    const node = canvas.current;
    if (!node) return;
    node.style.height = `${height}px`;
    const watch = new ResizeObserver(paint);
    watch.observe(node);
    return () => watch.disconnect();
  }, [height]);

  const point = (event: PointerEvent) => {
    const node = canvas.current;
    if (!tip.current || !node || !onPoint) return;
    const said = onPoint(event.offsetX, event.offsetY, node.clientWidth);
    tip.current.textContent = said ?? "";
    tip.current.hidden = !said;
    const right = event.offsetX > node.clientWidth / 2;
    tip.current.style.left = right ? "" : `${event.offsetX + 12}px`;
    tip.current.style.right = right ? `${node.clientWidth - event.offsetX + 12}px` : "";
    tip.current.style.top = `${Math.max(0, event.offsetY - 30)}px`;
  };
  const leave = () => {
    if (tip.current) tip.current.hidden = true;
  };
  const pick = (event: MouseEvent) => onPick?.(event.offsetX, event.offsetY, canvas.current?.clientWidth ?? 0);
  return (
    <div class="canvas">
      <canvas
        ref={canvas}
        role="img"
        aria-label={label}
        class={onPick ? "pick" : undefined}
        onPointerMove={point}
        onPointerLeave={leave}
        onClick={pick}
      />
      <div ref={tip} class="tip" hidden />
    </div>
  );
}

/** Round steps from `low` to `high`, about `wanted` of them. */
export function steps(low: number, high: number, wanted: number): number[] {
  const raw = (high - low) / Math.max(1, wanted);
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw) ?? raw;
  const found: number[] = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step)
    found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
}
