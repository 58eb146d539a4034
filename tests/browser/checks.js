// What the browser tests ask of an open report.
window.checks = {
  frame: () => new Promise((done) => requestAnimationFrame(() => setTimeout(done))),

  /// Scrolls through the page until every chart has come into view, and says which did not draw itself.
  async not_drawn() {
    const plots = Array.from(document.querySelectorAll(".plot"));
    for (const plot of plots) {
      plot.scrollIntoView({block: "center"});
      for (let tries = 0; tries < 100 && !plot.querySelector("canvas"); ++tries) await this.frame();
    }
    await this.frame();
    return plots.filter((plot) => !plot.querySelector("canvas")).map((plot) => this.name(plot));
  },

  name: (inside) => inside.closest("[data-chart]").dataset.chart,

  /// Charts with fewer than 50 pixels of a series' colour; text and lines are nearly grey.
  pale() {
    const coloured = (canvas) => {
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
      copy.drawImage(canvas, 0, 0);
      const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4) {
        const [red, green, blue] = [data[at], data[at + 1], data[at + 2]];
        if (data[at + 3] > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 50) ++count;
      }
      return count;
    };
    return Array.from(document.querySelectorAll(".plot"))
      .filter((plot) => {
        return Array.from(plot.querySelectorAll("canvas")).reduce((sum, canvas) => sum + coloured(canvas), 0) < 50;
      })
      .map((plot) => this.name(plot));
  },

  /// Drawings that did not load.
  broken_images: () => Array.from(document.images).filter((image) => !image.naturalWidth).length,

  /// Pixels by which the page is wider than the window.
  overflow: () => document.documentElement.scrollWidth - document.documentElement.clientWidth,

  /// Charts, other than tables, that are higher than the given sheet.
  higher_than(height) {
    const cards = Array.from(document.querySelectorAll(".chart-card:not(.kind-table)"));
    return cards.filter((card) => card.getBoundingClientRect().height > height).map((card) => this.name(card));
  },

  /// Buttons that would be printed; what they show counts as text.
  visible_buttons: () =>
    Array.from(document.querySelectorAll(".save, .copy, .run-bar")).filter((one) => one.offsetParent).length,

  table: (chart) => document.querySelector(`[data-chart="${chart}"] table`),

  /// The texts of a column, from the top.
  column(chart, at) {
    return Array.from(this.table(chart).tBodies[0].rows, (row) => row.cells[at].textContent);
  },

  header(chart, at) {
    return this.table(chart).tHead.rows[0].cells[at];
  },
};
