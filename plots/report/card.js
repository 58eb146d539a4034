// A chart with its title, its words and its buttons.

function csv_text(data) {
  return csv_line(data.columns) + data.rows.map(csv_line).join("");
}

function drawing_element(chart) {
  const source = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(chart.svg)}`;
  return element(
    "div",
    {class: "scroller drawing", tabindex: "0", role: "region", "aria-label": chart.title},
    element("img", {src: source, alt: `${chart.title}. ${chart.caption}`})
  );
}

/// The buttons below a chart, and the command that draws it again.
function card_footer(chart, report_name, extra) {
  const base = file_name(report_name, chart.id);
  const save =
    chart.kind === "drawing"
      ? element(
          "button",
          {type: "button", class: "save", onclick: () => save_file(`${base}.svg`, "image/svg+xml", chart.svg)},
          "Download SVG"
        )
      : element(
          "button",
          {
            type: "button",
            class: "save",
            onclick: () => save_file(`${base}.csv`, "text/csv;charset=utf-8", csv_text(chart_data(chart))),
          },
          "Download CSV"
        );
  const copy = chart.command
    ? element("button", {type: "button", class: "copy", onclick: () => copy_text(chart.command, copy)}, "Copy command")
    : null;
  return element(
    "footer",
    {class: "card-footer"},
    save,
    extra,
    copy,
    chart.command ? element("code", {title: "The command that draws this chart again"}, chart.command) : null
  );
}

function chart_data(chart) {
  return chart.kind === "table" ? table_rows(chart) : kinds[chart.kind].data(chart);
}

/// A drawn chart with its legend, and a table of the same numbers behind a button.
function plot_parts(chart) {
  const plot = new Plot(chart),
    kind = plot.kind;
  const above = kind.above ? kind.above(chart, plot.state, () => plot.draw()) : null;
  const table = element("div", {class: "numbers", hidden: true});
  const button = toggle("Table", false, () => {
    table.hidden = !table.hidden;
    button.setAttribute("aria-pressed", String(!table.hidden));
    if (!table.hidden && !table.firstChild) table.append(table_element(plain_table(chart_data(chart)), chart.title));
  });
  watch(plot);
  return {body: [above, plot.host, kind.below ? kind.below(chart) : null, table], button};
}

function card_parts(chart, link) {
  if (chart.kind === "table") return {body: [table_element(chart, chart.title, link)], button: null};
  if (chart.kind === "drawing") return {body: [drawing_element(chart)], button: null};
  if (kinds[chart.kind]) return plot_parts(chart);
  return {body: [element("p", {class: "soft"}, `This page cannot draw a chart of kind ${chart.kind}.`)], button: null};
}

/// One chart. report_name names its files; link is for tables.
function card(chart, report_name, link) {
  const {body, button} = card_parts(chart, link);
  return element(
    "section",
    {class: `card chart-card kind-${chart.kind}`, "data-chart": chart.id},
    element("h3", {}, chart.title),
    chart.caption ? element("p", {class: "caption"}, chart.caption) : null,
    body,
    chart.note ? element("p", {class: "note"}, chart.note) : null,
    card_footer(chart, report_name, button)
  );
}

/// Bars of about the same height stand side by side on a wide screen; everything else takes the full width.
function cards(charts, report_name, link) {
  const height = (chart) =>
    chart && chart.kind === "stacked" && chart.categories.length <= bars_with_labels ? stacked_height(chart) : null;
  const made = charts.map((chart) => card(chart, report_name, link));
  for (let at = 0; at + 1 < charts.length; ++at) {
    const [one, other] = [height(charts[at]), height(charts[at + 1])];
    if (!one || !other || Math.max(one, other) > 1.4 * Math.min(one, other)) continue;
    made[at].classList.add("half");
    made[++at].classList.add("half");
  }
  return element("div", {class: "cards"}, made);
}
