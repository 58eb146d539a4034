// Rows x columns of colours: layers against experts or GPUs.

/// Per view, the columns of each row in the order shown: as given, or the largest value first.
function column_orders(chart, state) {
  const given = chart.columns.map((_, column) => column);
  return chart.rows.map((_, row) => {
    if (!state.sorted) return given;
    const values = chart.views[state.view].values,
      start = row * chart.columns.length;
    const weight = (column) => values[start + column] ?? -Infinity;
    return given.slice().sort((a, b) => weight(b) - weight(a) || a - b);
  });
}

/// One scale for all views, so that before and after compare; the hottest hundredth shares the last colour.
function heat_scale(chart) {
  const values = chart.views.flatMap((view) => view.values).filter((value) => typeof value === "number");
  const least = values.reduce((low, value) => Math.min(low, value), Infinity);
  const most = values.reduce((high, value) => Math.max(high, value), -Infinity);
  const clamp = percentile(values, 0.99);
  const low = least >= 0 && least < most / 2 ? 0 : least;
  const high = clamp > low ? clamp : most;
  return {low, high: high > low ? high : low + 1, most, above: values.filter((value) => value > high).length};
}

/// [column shown, row, value, column it is]
function heat_cells(chart, state) {
  const values = chart.views[state.view].values,
    cells = [];
  column_orders(chart, state).forEach((order, row) =>
    order.forEach((column, place) => {
      const value = values[row * chart.columns.length + column];
      if (typeof value === "number") cells.push([place, row, value, column]);
    })
  );
  return cells;
}

/// Where a cell begins and how long it is, in whole pixels: otherwise seams show between the cells.
function cell_span(start, length, count, at, pixel_ratio) {
  const edge = (place) => Math.round((start + (length * place) / count) * pixel_ratio) / pixel_ratio;
  return [edge(at), Math.max(1 / pixel_ratio, edge(at + 1) - edge(at))];
}

/// One rectangle a cell. The heatmap series of ECharts 6.1 draws on a second canvas, in slices of time.
function heat_series(chart, state, scale, context) {
  const cells = heat_cells(chart, state),
    palette = Array.from({length: 256}, (_, at) => heat_colour(at / 255));
  const fills = cells.map(
    (cell) => palette[Math.round(255 * Math.min(1, Math.max(0, (cell[2] - scale.low) / (scale.high - scale.low))))]
  );
  const renderItem = ({coordSys, dataIndex}) => {
    const [column, row] = cells[dataIndex],
      ratio = context.pixel_ratio;
    const [x, width] = cell_span(coordSys.x, coordSys.width, chart.columns.length, column, ratio);
    const [y, height] = cell_span(coordSys.y, coordSys.height, chart.rows.length, row, ratio);
    return {
      // half a pixel below the next cell: paper has no whole pixels
      type: "rect",
      shape: {x, y, width: width + 0.5, height: height + 0.5},
      style: {fill: fills[dataIndex]},
      emphasis: {style: {stroke: context.colours.ink, lineWidth: 1.5}},
    };
  };
  return {type: "custom", renderItem, data: cells, encode: {x: 0, y: 1}, progressive: 0, cursor: "default"};
}

function heat_tooltip(chart, cell) {
  return tooltip_box(`${chart.row_label} ${chart.rows[cell[1]]}, ${chart.column_label} ${chart.columns[cell[3]]}`, [
    [null, "", with_unit(number_text(cell[2]), chart.unit)],
  ]);
}

function heat_axis(colours, labels, name, gap, room) {
  return {
    ...axis_style(colours),
    type: "category",
    data: labels,
    name,
    nameLocation: "middle",
    nameGap: gap,
    splitLine: {show: false},
    nameTruncate: {maxWidth: room, ellipsis: "…"},
    axisLabel: {color: colours.soft, fontSize: 10, hideOverlap: true, width: 90, overflow: "truncate"},
  };
}

function heatmap_option(chart, state, context) {
  const {colours} = context,
    scale = heat_scale(chart);
  const places = state.sorted ? chart.columns.map((_, place) => String(place + 1)) : chart.columns;
  const left = Math.ceil(Math.min(90, text_width(chart.rows, 10))) + 34;
  const height = cell_height(chart, context) * chart.rows.length;
  const column_name = state.sorted
    ? `${chart.column_label}s of each ${chart.row_label}, hottest first`
    : chart.column_label;
  return {
    ...base_option(colours),
    tooltip: {...base_option(colours).tooltip, formatter: (mark) => heat_tooltip(chart, mark.data)},
    grid: {left, right: 12, top: 6, height, outerBoundsMode: "none"},
    xAxis: heat_axis(colours, places, column_name, 26, context.width - left - 20),
    yAxis: {...heat_axis(colours, chart.rows, chart.row_label, left - 16, height), inverse: true},
    series: [heat_series(chart, state, scale, context)],
  };
}

/// The colours' meaning, and how far they reach.
function heat_legend(chart) {
  const scale = heat_scale(chart),
    decimals = decimals_for([scale.high]);
  const bar = element("span", {
    class: "heat-bar",
    style: `background:linear-gradient(to right,${heat_colours.join(",")})`,
  });
  const clamped =
    scale.above > 0
      ? `${number_text(scale.above)} ${scale.above === 1 ? "cell is" : "cells are"} hotter, ` +
        `up to ${number_text(scale.most)}: the colours end at the 99th percentile.`
      : null;
  return element(
    "div",
    {class: "heat-legend"},
    element("span", {}, number_text(scale.low, decimals)),
    bar,
    element("span", {}, with_unit((scale.above ? "≥ " : "") + number_text(scale.high, decimals), chart.unit)),
    clamped ? element("span", {class: "soft"}, clamped) : null
  );
}

function heat_controls(chart, state, redraw) {
  const controls = [];
  if (chart.views.length > 1) {
    controls.push(
      choice(
        "View",
        chart.views.map((view) => view.name),
        state.view,
        (index) => {
          state.view = index;
          redraw();
        }
      )
    );
  }
  if (chart.sortable) {
    const button = toggle("Hottest first", state.sorted, () => {
      state.sorted = !state.sorted;
      button.setAttribute("aria-pressed", String(state.sorted));
      redraw();
    });
    controls.push(button);
  }
  return element("div", {class: "above"}, element("div", {class: "controls"}, controls), heat_legend(chart));
}

function cell_height(chart, context) {
  return Math.max(2, Math.min(26, Math.floor((context && context.printing ? 330 : 410) / chart.rows.length)));
}

function heatmap_height(chart, state, context) {
  return chart.rows.length * cell_height(chart, context) + 52;
}

function heatmap_rows(chart) {
  const columns = ["view", chart.row_label, chart.column_label, chart.unit ? `value [${chart.unit}]` : "value"];
  const rows = chart.views.flatMap((view) =>
    view.values.map((value, at) => [
      view.name,
      chart.rows[Math.floor(at / chart.columns.length)],
      chart.columns[at % chart.columns.length],
      value,
    ])
  );
  return {columns, rows};
}

const heatmap_kind = {
  state: (chart) => ({view: 0, sorted: chart.sortable}),
  option: heatmap_option,
  height: heatmap_height,
  data: heatmap_rows,
  above: heat_controls,
};
