/** The timeline: bars over time, to be zoomed and moved with the mouse, the keyboard and by touch. */

import { fill, h, svg } from "./dom.js";
import { counted, duration, moment } from "./format.js";
import { executionLink, go } from "./router.js";

const ROW = 22;
const TOP = 22;
const FIRST_ROWS = 100;
const FINEST = 0.05;

/**
 * @param {(version: number) => void} choose called with the version of what was clicked
 * @returns {{ element: HTMLElement, show: (model: any) => void, mark: (at: number | null) => void }}
 */
export function timeline(choose) {
  let model = null;
  let view = null;
  let marked = null;
  let most = FIRST_ROWS;
  let waiting = false;
  let width = 800;
  const chart = svg("svg.timeline", { tabindex: "0", role: "img", "aria-label": "Timeline. Arrow keys move it, plus and minus zoom, 0 shows all." });
  const more = h("button.quiet", { on: { click: () => ((most += 400), draw()) } });
  const tool = (text, title, act) => h("button.quiet.icon", { title, "aria-label": title, on: { click: act } }, text);
  const element = h("div.timeline-box",
    h("div.tools", tool("\u2212", "Zoom out (\u2212)", () => zoom(1.6)), tool("+", "Zoom in (+)", () => zoom(1 / 1.6)), tool("\u2922", "Show all (0)", fit)),
    chart, more);

  const labels = () => (width < 520 ? 96 : 200);
  const span = () => view ?? [model.from - (model.to - model.from) * 0.01, model.to + (model.to - model.from) * 0.02];
  const plot = () => Math.max(50, width - labels() - 8);
  const x = (time) => labels() + ((time - span()[0]) / (span()[1] - span()[0])) * plot();

  function fit() {
    view = null;
    later();
  }

  function zoom(factor, around = 0.5) {
    const [from, to] = span();
    const centre = from + (to - from) * around;
    const size = Math.max(FINEST, (to - from) * factor);
    if (size >= (model.to - model.from) * 1.05) return fit();
    view = [centre - size * around, centre + size * (1 - around)];
    later();
  }

  function pan(share) {
    const [from, to] = span();
    const step = (to - from) * share;
    view = [from + step, to + step];
    later();
  }

  function later() {
    if (waiting || !model) return;
    waiting = true;
    requestAnimationFrame(() => ((waiting = false), draw()));
  }

  function draw() {
    const rows = model.rows.slice(0, most);
    const height = TOP + rows.length * ROW + 6;
    const [from, to] = span();
    chart.setAttribute("aria-description", `shows ${duration(to - from)}, from ${duration(from - model.from)} on`);
    chart.setAttribute("height", height);
    chart.setAttribute("viewBox", `0 0 ${Math.max(1, width)} ${height}`);
    const clip = svg("clipPath", { id: "plot" }, svg("rect", { x: labels(), y: 0, width: plot() + 8, height }));
    fill(chart, clip, axis(height), rows.map(drawRow), marked !== null && cursor(height));
    more.hidden = model.rows.length <= most;
    fill(more, `${counted(model.rows.length - most, "more row")}`);
  }

  function axis(height) {
    const [from, to] = span();
    const step = niceStep((to - from) / Math.max(2, plot() / 110));
    const marks = [];
    for (let at = model.from + Math.ceil((from - model.from) / step) * step; at < to; at += step) {
      const offset = at - model.from;
      const place = x(at);
      if (place < labels()) continue;
      marks.push(svg("line.grid", { x1: place, x2: place, y1: TOP - 6, y2: height }),
        svg("text.tick", { x: place + 3, y: 12 }, Math.abs(offset) < step / 2 ? moment(model.from) : `+${duration(offset)}`));
    }
    return svg("g", marks);
  }

  function drawRow(row, place) {
    const y = TOP + place * ROW;
    const open = () => (row.id ? go(executionLink(row.id)) : choose(row.version));
    const label = svg(`text.label${row.id ? ".link" : ""}`, { x: 0, y: y + 15, on: { click: open } }, cut(row.label, labels() - 8));
    label.append(svg("title", row.id ?? row.label));
    const bars = seen(row.bars).map((bar) => {
      const left = x(bar.from);
      const shape = { x: left, y: y + 4, width: Math.max(2, x(bar.to) - left), height: ROW - 8, rx: 3 };
      return svg(`rect.bar.${bar.tone}${bar.isOpen ? ".open" : ""}`, { ...shape, on: { click: () => choose(bar.version ?? row.version) } }, svg("title", bar.title));
    });
    const marks = row.marks.map((mark) => {
      const at = x(mark.at);
      return svg("path.replay", { d: `M${at} ${y + 2}l5 4l-5 4z` }, svg("title", mark.title));
    });
    return svg("g.row", svg("rect.stripe", { x: 0, y, width, height: ROW }), label, svg("g", { "clip-path": "url(#plot)" }, bars, marks));
  }

  /** The bars that are in view; of many within one pixel, the first. */
  function seen(bars) {
    const [from, to] = span();
    let edge = -Infinity;
    return bars.filter((bar) => {
      if (bar.to < from || bar.from > to || x(bar.to) < edge + 0.5) return false;
      edge = x(bar.to);
      return true;
    });
  }

  function cursor(height) {
    const at = x(marked);
    return at >= labels() && svg("line.cursor", { x1: at, x2: at, y1: TOP - 8, y2: height });
  }

  listen(chart, { zoom, pan, fit, width: plot, left: labels });
  new ResizeObserver(([{ contentRect }]) => ((width = contentRect.width), later())).observe(chart);
  return {
    element,
    show: (next) => ((model = next), later()),
    mark: (at) => ((marked = at), later()),
  };
}

function listen(chart, { zoom, pan, fit, width, left }) {
  chart.addEventListener("keydown", (event) => {
    const act = { ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15), "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1.6), 0: fit }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  const share = (clientX) => Math.max(0, Math.min(1, (clientX - chart.getBoundingClientRect().left - left()) / width()));
  chart.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) zoom(event.deltaY > 0 ? 1.15 : 0.87, share(event.clientX));
    else pan((event.deltaX || event.deltaY) / width());
  }, { passive: false });
  const held = new Map();
  const apart = () => {
    const [one, two] = [...held.values()];
    return Math.max(10, Math.abs(one - two));
  };
  chart.addEventListener("pointerdown", (event) => held.set(event.pointerId, event.clientX));
  chart.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (before === undefined || Math.abs(event.clientX - before) < 3) return;
    if (!chart.hasPointerCapture(event.pointerId)) chart.setPointerCapture(event.pointerId);
    const distance = held.size === 2 ? apart() : 0;
    held.set(event.pointerId, event.clientX);
    if (held.size === 2) zoom(distance / apart(), share([...held.values()].reduce((sum, at) => sum + at, 0) / 2));
    else pan((before - event.clientX) / width());
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) chart.addEventListener(name, (event) => held.delete(event.pointerId));
}

/** 1, 2 or 5 times a power of ten below a second, and what clocks count by above. */
function niceStep(millis) {
  const above = [1e3, 2e3, 5e3, 10e3, 30e3, 60e3, 300e3, 600e3, 1800e3, 3600e3, 7200e3, 21600e3, 43200e3, 86400e3];
  if (millis > 500) return above.find((step) => step >= millis) ?? Math.ceil(millis / 86400e3) * 86400e3;
  const power = 10 ** Math.floor(Math.log10(millis));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= millis);
}

function cut(text, width) {
  const most = Math.floor(width / 6.6);
  return text.length <= most ? text : `\u2026${text.slice(-(most - 1))}`;
}
