/** Small charts over the last minutes: lines of numbers that come as they come. */

import { fill, h, svg } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 96;
const LONGEST = 300_000;
const SHORTEST = 60_000;
const TONES = ["a", "b", "c"];

/**
 * @param {string} title @param {string[]} names at most three lines
 * @returns {{ element: HTMLElement, add: (at: number, values: number[]) => void, draw: () => void }}
 */
export function lineChart(title, names) {
  /** @type {{ at: number, values: number[] }[]} */
  let points = [];
  const chart = svg("svg.chart", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}, the last minutes` });
  const legend = h("div.legend");
  const draw = () => {
    const now = Date.now();
    points = points.filter((point) => point.at > now - LONGEST - 10_000);
    const top = Math.max(1, ...points.flatMap((point) => point.values)) * 1.1;
    const span = Math.min(LONGEST, Math.max(SHORTEST, now - (points[0]?.at ?? now)));
    const x = (at) => WIDTH * (1 - (now - at) / span);
    const y = (value) => HEIGHT - 2 - (value / top) * (HEIGHT - 6);
    const last = points.at(-1)?.values ?? names.map(() => 0);
    fill(chart, svg("line.base", { x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 }), names.map((_name, place) => {
      if (!points.length) return null;
      const drawn = [...points, { at: now, values: last }].map((point) => `${x(point.at).toFixed(1)} ${y(point.values[place]).toFixed(1)}`).join("L");
      const area = `M${x(points[0].at).toFixed(1)} ${HEIGHT}L${drawn}L${WIDTH} ${HEIGHT}z`;
      return [svg(`path.area.${TONES[place]}`, { d: area }), svg(`path.line.${TONES[place]}`, { d: `M${drawn}` })];
    }));
    fill(legend, names.map((name, place) => h("span", h(`i.${TONES[place]}`), name, " ", h("b", last[place]))));
  };
  draw();
  return {
    element: h("div", chart, legend),
    add(at, values) {
      points.push({ at, values });
      draw();
    },
    draw,
  };
}
