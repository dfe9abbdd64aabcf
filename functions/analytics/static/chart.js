"use strict";
/* The time series, drawn by uPlot; its points can be read by pointer and by arrow keys. */
const Chart = (() => {
  let drawn, shown;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /** Draw `model` into `box`: times (epoch s), values, settled (how many points are final), before
   *  (values of the compared period, or null), zone, tick and describe (texts of a point). */
  function draw(box, model) {
    clear();
    shown = { box, model };
    const { times, values, before, settled } = model;
    const final = values.map((value, at) => at < settled ? value : null);
    // The open part begins where the settled one ends, so that the line does not break.
    const open = values.map((value, at) => at >= settled - 1 ? value : null);
    const accent = colour("--accent"), faint = colour("--faint"), quiet = colour("--quiet");
    const smooth = uPlot.paths.spline();
    const line = { paths: smooth, points: { show: false }, spanGaps: false };
    const single = times.length === 1;
    const axis = { stroke: quiet, font: "12px Inter, system-ui, sans-serif", ticks: { show: false } };
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    drawn = new uPlot({
      width: box.clientWidth, height: box.clientHeight,
      legend: { show: false },
      padding: [12, 14, 0, 0],
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), model.zone),
      cursor: { y: false, move: snapped, drag: { x: false, y: false }, points: { size: 9, width: 2, fill: (u, at) => u.series[at].stroke(), stroke: colour("--card") } },
      scales: { y: { range: (u, low, high) => [0, Math.max(high * 1.08, 4)] } },
      axes: [
        { ...axis, grid: { show: false }, size: 34, space: 76, values: (u, marks) => marks.map(model.tick), gap: 8 },
        {
          ...axis, size: 54, gap: 10, grid: { stroke: colour("--line"), width: 1 }, space: 56,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8, 1e9],
          values: (u, marks) => marks.map((mark) => new Intl.NumberFormat("en", { notation: "compact" }).format(mark)),
        },
      ],
      series: [
        {},
        { ...line, stroke: faint, width: 1.5, dash: [5, 5], points: { show: single } },
        { ...line, stroke: accent, width: 2.25, fill: (u) => fade(u, accent), points: { show: single } },
        { ...line, stroke: accent, width: 2.25, dash: [2, 5], fill: (u) => fade(u, accent) },
      ],
      hooks: { setCursor: [(u) => point(u, tip)] },
    }, [times, before || values.map(() => null), final, open], box);
    drawn.over.append(tip);
  }

  /** Where the cursor stands: at a point, never between two. */
  const snapped = (u, left, top) =>
    [left < 0 ? left : u.valToPos(u.data[0][u.posToIdx(left)], "x"), top];

  function fade(u, accent) {
    const gradient = u.ctx.createLinearGradient(0, u.bbox.top, 0, u.bbox.top + u.bbox.height);
    gradient.addColorStop(0, accent + "2e");
    gradient.addColorStop(1, accent + "00");
    return gradient;
  }

  function point(u, tip) {
    const at = u.cursor.idx;
    tip.hidden = at == null || shown.model.values[at] == null;
    if (tip.hidden) return;
    const { title, rows } = shown.model.describe(at);
    const head = document.createElement("p");
    head.className = "when";
    head.textContent = title;
    tip.replaceChildren(head, ...rows.map(([name, value]) => {
      const row = document.createElement("p"), figure = document.createElement("b");
      row.append(name, figure);
      figure.textContent = value;
      return row;
    }));
    const x = u.cursor.left, right = x + tip.offsetWidth + 24 > u.over.clientWidth;
    tip.style.left = `${right ? x - tip.offsetWidth - 12 : x + 12}px`;
    tip.style.top = "8px";
  }

  /** Move the cursor to another point; its text, or "" where there is none. */
  function step(by) {
    if (!drawn) return "";
    const last = shown.model.values.findLastIndex((value) => value != null);
    const from = drawn.cursor.idx ?? (by > 0 ? -1 : last + 1);
    const at = by === -Infinity ? 0 : by === Infinity ? last : Math.min(Math.max(from + by, 0), last);
    drawn.setCursor({ left: drawn.valToPos(shown.model.times[at], "x"), top: 20 });
    const { title, rows } = shown.model.describe(at);
    return `${title}: ${rows.map(([name, value]) => `${name} ${value}`).join(", ")}`;
  }

  function clear() {
    if (drawn) drawn.destroy();
    if (shown) shown.box.replaceChildren();
    drawn = shown = undefined;
  }

  const again = () => shown && draw(shown.box, shown.model);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("resize", () => {
    if (drawn) drawn.setSize({ width: shown.box.clientWidth, height: shown.box.clientHeight });
  });
  return { draw, clear, step };
})();
