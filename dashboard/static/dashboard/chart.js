// The tenant page's two charts on uPlot: usage against its limits, and what the multiplier stands on.
import { clock, minute, moment, percent, short, whole } from "./format.js";

const SYNC = "tenant";
const SHORTEST_PX = 8;
// So that no two whole numbers at the axis are written alike.
const FLATTEST = 4;
const SIDE = 56;
const HEIGHTS = { usage: 260, latency: 150 };

// Canvas knows no custom properties: the browser is asked what a token is right now.
function colour(token, alpha = 1) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${token})`;
  document.body.append(probe);
  const [r, g, b] = getComputedStyle(probe).color.match(/[\d.]+/g);
  probe.remove();
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}

function axes(labels, zero) {
  const font = "12px system-ui, sans-serif";
  const quiet = { stroke: colour("muted"), font, ticks: { show: false } };
  const grid = { stroke: colour("hairline"), width: 1 };
  const across = { ...quiet, grid: { show: false }, values: (_, splits) => splits.map((s) => timeLabel(s, zero())), space: 72, size: 32 };
  return [across, ...labels.map((label, index) => ({ ...quiet, scale: label.scale, side: index ? 1 : 3, size: SIDE, grid: index ? { show: false } : grid, values: (_, splits) => splits.map(label.show) }))];
}

function timeLabel(seconds, spanSeconds) {
  const ms = seconds * 1_000;
  if (spanSeconds <= 600) return clock(ms);
  if (spanSeconds <= 90_000) return minute(ms);
  return moment(ms).slice(5, 10);
}

// Hairlines with a small flag where something changed.
function flags(read) {
  return {
    hooks: {
      draw: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = colour("muted");
        ctx.lineWidth = devicePixelRatio;
        for (const { at_ms } of read()) {
          const x = Math.round(plot.valToPos(at_ms / 1_000, "x", true));
          if (x < bbox.left || x > bbox.left + bbox.width) continue;
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
          ctx.fillRect(x, bbox.top, 7 * devicePixelRatio, 5 * devicePixelRatio);
        }
        ctx.restore();
      },
    },
  };
}

// A value between two gaps has no line to stand on: it gets a dot.
function alone(plot, index) {
  const values = plot.data[index];
  const known = (at) => Number.isFinite(values[at] ?? Number.NaN);
  const found = values.flatMap((_, at) => (known(at) && !known(at - 1) && !known(at + 1) ? [at] : []));
  return found.length ? found : null;
}

export const SERIES = {
  usage: [
    { name: "used", token: "accent", show: whole, area: true },
    { name: "allowed", token: "accent", show: whole, area: true },
    { name: "before", token: "muted", show: whole, dash: [2, 3] },
    { name: "limit", token: "ink", show: whole, dash: [6, 4], steps: true },
    { name: "effective", token: "near", show: whole, steps: true },
    { name: "refused", token: "stop", show: whole },
    { name: "shadow_refused", token: "shadow", show: whole },
  ],
  latency: [
    { name: "p95_ms", token: "accent", show: whole, scale: "ms" },
    { name: "threshold_ms", token: "ink", show: whole, dash: [6, 4], scale: "ms" },
    { name: "multiplier", token: "near", show: percent, scale: "m", steps: true },
  ],
};

const AXES = {
  usage: [{ scale: "y", show: (value) => short(value) }],
  latency: [
    { scale: "ms", show: (value) => `${short(value)}` },
    { scale: "m", show: (value) => (value === null ? "" : percent(value)) },
  ],
};

// The other chart follows the pointer, and no drag.
function followed(type) {
  return type === "mousemove" || type === "mouseleave";
}

export class Chart {
  constructor(place, kind, { notes, onCursor, onZoom }) {
    Object.assign(this, { place, kind, notes, onCursor, onZoom });
    this.reach = [0, 300];
    this.data = [[], ...SERIES[kind].map(() => [])];
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(place);
    for (const media of ["(prefers-color-scheme: dark)"]) matchMedia(media).addEventListener("change", () => this.build());
    addEventListener("themechange", () => this.build());
    this.build();
  }

  size() {
    return { width: Math.max(200, this.place.clientWidth), height: HEIGHTS[this.kind] };
  }

  build() {
    this.plot?.destroy();
    const lines = SERIES[this.kind].map((line) => ({
      scale: line.scale ?? "y",
      stroke: colour(line.token),
      width: line.dash ? 1.5 : 2,
      dash: line.dash,
      fill: line.area ? colour(line.token, 0.15) : undefined,
      points: { show: false, filter: alone, size: 5, stroke: colour(line.token), fill: colour(line.token) },
      paths: line.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
      spanGaps: false,
    }));
    const scales = { x: { range: () => this.reach } };
    Object.assign(scales, Object.fromEntries(AXES[this.kind].map(({ scale }) => [scale, { range: (_, low, high) => [0, scale === "m" ? Math.max(1.1, high ?? 1) : Math.max(FLATTEST, (high ?? 1) * 1.1)] }])));
    this.plot = new uPlot(
      {
        ...this.size(),
        legend: { show: false },
        // As wide as the other, whether or not there is an axis on the right: the same time stands above the same time.
        padding: AXES[this.kind].length > 1 ? undefined : [null, SIDE, null, null],
        cursor: { sync: { key: SYNC, filters: { pub: followed } }, y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
        scales,
        series: [{}, ...lines],
        axes: axes(AXES[this.kind], () => this.span()),
        plugins: [flags(this.notes)],
        hooks: { setCursor: [(plot) => this.onCursor(plot.cursor.idx)], setSelect: [(plot) => this.zoom(plot)] },
      },
      this.data,
      this.place,
    );
  }

  zoom(plot) {
    const { left, width } = plot.select;
    if (width < SHORTEST_PX) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.onZoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  }

  span() {
    return this.plot ? this.plot.scales.x.max - this.plot.scales.x.min : 0;
  }

  // The whole time is drawn from the start; the part without data stays empty.
  setData({ times, columns, from, to }) {
    this.reach = [from, to];
    this.data = [times, ...SERIES[this.kind].map((line) => columns[line.name] ?? times.map(() => null))];
    this.plot.setData(this.data, true);
  }
}
