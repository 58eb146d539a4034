// A chart that ECharts draws: once it comes into view, again when its room or the colours change, and for paper.

const kinds = {stacked: stacked_kind, heatmap: heatmap_kind, pareto: pareto_kind};
const paper_width = 720; // pixels of the drawing; the page scales it to the paper
const plots = new Set();
let printing = false;

class Plot {
  constructor(chart) {
    this.chart = chart;
    this.kind = kinds[chart.kind];
    this.state = this.kind.state(chart);
    this.host = element("div", {
      class: "plot",
      role: "img",
      "aria-label": `${chart.title}. ${chart.caption} The table button shows the numbers.`,
    });
    this.host.style.height = `${this.kind.height(chart, this.state, {width: 800})}px`; // room until it is drawn
    this.drawn = null;
    plots.add(this);
  }

  draw() {
    const width = printing ? paper_width : this.host.clientWidth;
    if (!width) return;
    const context = {width, printing, pixel_ratio: printing ? 2 : devicePixelRatio || 1, colours: inks(printing)};
    const height = this.kind.height(this.chart, this.state, context);
    this.host.style.height = printing ? "" : `${height}px`;
    if (this.drawn && this.printed !== printing) this.drop(); // paper wants finer pixels
    if (!this.drawn) this.drawn = echarts.init(this.host, null, {width, height, devicePixelRatio: context.pixel_ratio});
    else this.drawn.resize({width, height, silent: true});
    this.printed = printing;
    this.width = width;
    this.drawn.setOption(this.kind.option(this.chart, this.state, context), {notMerge: true, lazyUpdate: false});
    this.drawn.getZr().flush();
  }

  drop() {
    if (this.drawn) this.drawn.dispose();
    this.drawn = null;
  }

  redraw() {
    if (this.drawn) this.draw();
  }
}

const in_view = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting && !entry.target.plot.drawn) entry.target.plot.draw();
  },
  {rootMargin: "300px"}
);

const room = new ResizeObserver((entries) => {
  if (printing) return;
  requestAnimationFrame(() => {
    for (const {target} of entries)
      if (!printing && target.plot.drawn && target.clientWidth !== target.plot.width) target.plot.draw();
  });
});

function watch(plot) {
  plot.host.plot = plot;
  in_view.observe(plot.host);
  room.observe(plot.host);
}

/// Drops the charts below an element that goes away.
function forget(parent) {
  for (const host of parent.querySelectorAll(".plot")) {
    in_view.unobserve(host);
    room.unobserve(host);
    host.plot.drop();
    plots.delete(host.plot);
  }
}

/// Tells a table the least width, in its letters' size, that it can do with.
function measure(table) {
  table.style.width = "min-content";
  table.style.setProperty("--ems", table.offsetWidth / parseFloat(getComputedStyle(table).fontSize));
  table.style.width = "";
}

function set_printing(now) {
  if (printing === now) return;
  printing = now;
  document.documentElement.classList.toggle("paper", now);
  if (now) document.querySelectorAll("table").forEach(measure);
  for (const plot of plots) plot.draw();
}

addEventListener("beforeprint", () => set_printing(true));
addEventListener("afterprint", () => set_printing(false));
matchMedia("print").addEventListener("change", (event) => set_printing(event.matches));
prefers_dark.addEventListener("change", () => {
  for (const plot of plots) plot.redraw();
});
