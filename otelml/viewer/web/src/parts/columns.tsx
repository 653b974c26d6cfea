// Panels of different heights side by side without holes: each goes where there is most room, the first ones on top.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

export interface Item {
  name: string;
  height: number; // about, in pixels
  show: ComponentChildren;
}

const [LEAST, GAP] = [350, 10];

export function Columns({ items }: { items: Item[] }) {
  const box = useRef<HTMLDivElement>(null);
  const [count, setCount] = useState(0);
  useEffect(() => {
    const node = box.current;
    if (!node) return;
    const fit = () => setCount(Math.max(1, Math.floor((node.clientWidth + GAP) / (LEAST + GAP))));
    const watch = new ResizeObserver(fit);
    watch.observe(node);
    fit();
    return () => watch.disconnect();
  }, []);
  return (
    <div class="columns" ref={box}>
      {placed(items, count).map((column, index) => (
        <div class="column" key={index}>
          {column.map((item) => (
            <div key={item.name}>{item.show}</div>
          ))}
        </div>
      ))}
    </div>
  );
}

function placed(items: Item[], count: number): Item[][] {
  const columns = Array.from({ length: count }, () => ({ height: 0, items: [] as Item[] }));
  for (const item of items) {
    const lowest = columns.reduce(
      (best, each) => (each.height < best.height ? each : best),
      columns[0] ?? { height: 0, items: [] },
    );
    lowest.items.push(item);
    lowest.height += item.height + GAP;
  }
  return columns.map((each) => each.items);
}
