// A line as high as a row: the shape of what happened; its numbers stand beside it.
import type { Values } from "../types";

interface Props {
  values: Values;
  tone?: string;
  width?: number;
  height?: number;
  fill?: boolean;
}

export function Spark({ values, tone = "now", width = 96, height = 20, fill = true }: Props) {
  const known = values.filter((each): each is number => each !== null && each !== undefined && Number.isFinite(each));
  const top = Math.max(...known, 0);
  if (!known.length || values.length < 2) return <svg class="spark" width={width} height={height} aria-hidden="true" />;
  const at = (value: number, index: number) => {
    const y = top ? height - 2 - (value / top) * (height - 4) : height - 2;
    return `${((index / (values.length - 1)) * (width - 2) + 1).toFixed(1)},${y.toFixed(1)}`;
  };
  const pieces: string[][] = [[]];
  values.forEach((value, index) => {
    if (value === null || value === undefined || !Number.isFinite(value)) pieces.push([]);
    else pieces.at(-1)?.push(at(value, index));
  });
  const drawn = pieces.filter((piece) => piece.length);
  return (
    <svg
      class={`spark tone-${tone}`}
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      aria-hidden="true"
    >
      {drawn.map((piece, index) => {
        const [first = "0,0", last = "0,0"] = [piece[0], piece.at(-1)];
        const under = `${first.split(",")[0]},${height - 1} ${piece.join(" ")} ${last.split(",")[0]},${height - 1}`;
        return (
          <g key={index}>
            {fill && <polygon points={under} />}
            {piece.length > 1 ? (
              <polyline points={piece.join(" ")} />
            ) : (
              <circle cx={first.split(",")[0]} cy={first.split(",")[1]} r="1.5" />
            )}
          </g>
        );
      })}
    </svg>
  );
}

/** A share of a whole as a bar in a row. */
export function Share({ of, tone = "now" }: { of: number | null; tone?: string }) {
  return (
    <svg class={`share tone-${tone}`} width="100%" height="8" aria-hidden="true">
      <rect class="ground" width="100%" height="8" rx="1" />
      <rect class="fill" width={`${Math.max(0, Math.min(1, of ?? 0)) * 100}%`} height="8" rx="1" />
    </svg>
  );
}
