// Horizontal bars cut into series: critical paths, memory, GPU busy and wait.

const bars_with_labels = 48; // above that the bars are thin, and zoomed into

function stacked_totals(chart, series) {
  return chart.categories.map((_, at) => series.reduce((sum, one) => sum + (one.values[at] || 0), 0));
}

/// Series that are zero everywhere say nothing.
function shown_series(chart) {
  const shown = chart.series.filter((series) => series.values.some((value) => value));
  return shown.length ? shown : chart.series.slice(0, 1);
}

function stacked_tooltip(chart, series, colours, at) {
  const total = stacked_totals(chart, series)[at];
  const decimals = decimals_for([total]);
  const rows = series
    .map((one, index) => [one, colours[index]])
    .filter(([one]) => one.values[at])
    .map(([one, colour]) => {
      const share = total > 0 ? ` (${number_text((100 * one.values[at]) / total, 0)} %)` : "";
      return [colour, series_text(one.name), with_unit(number_text(one.values[at], decimals), chart.unit) + share];
    });
  return tooltip_box(chart.categories[at], [
    ...rows,
    [null, "in all", with_unit(number_text(total, decimals), chart.unit)],
  ]);
}

/// A line across the bars; its name stands above them, on the side with room.
function limit_mark(limit, unit, most, {colours, width}) {
  return {
    silent: true,
    symbol: "none",
    animation: false,
    lineStyle: {color: colours.bad, type: "dashed", width: 1.5},
    label: {
      formatter: () => `${shortened(limit.name, Math.round(width / 14))} ${with_unit(number_text(limit.value), unit)}`,
      position: "start", // above: the categories run downwards
      align: limit.value > most / 2 ? "right" : "left",
      color: colours.bad,
      fontSize: 11,
      distance: 6,
    },
    data: [{xAxis: limit.value}],
  };
}

function bar_series(chart, series, context, plot_width, most) {
  const few = chart.categories.length <= bars_with_labels;
  const decimals = decimals_for(stacked_totals(chart, series));
  const fits = (value) => few && (value * plot_width) / most > text_width([number_text(value, decimals)], 11) + 10;
  return series.map((one, index) => ({
    type: "bar",
    stack: "all",
    name: one.name,
    data: one.values.map((value) => value || 0),
    itemStyle: {color: context.series_colours[index], borderColor: context.colours.card, borderWidth: few ? 0.5 : 0},
    barCategoryGap: few ? "28%" : "0%",
    barMaxWidth: 34,
    large: false,
    cursor: "default",
    label: {
      show: few && (chart.categories.length <= 24 || !context.printing),
      fontSize: 11,
      color: ink_on(context.series_colours[index]),
      formatter: ({value}) => (fits(value) ? number_text(value, decimals) : ""),
    },
  }));
}

function stacked_zoom(colours) {
  const base = {yAxisIndex: 0, filterMode: "empty"};
  return [
    {
      ...base,
      type: "slider",
      right: 4,
      width: 16,
      showDetail: false,
      brushSelect: false,
      borderColor: colours.line,
      fillerColor: colours.faint,
      showDataShadow: false,
    },
    {...base, type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false},
  ];
}

function stacked_option(chart, state, context) {
  const all = shown_series(chart),
    all_colours = colours_of(all.map((one) => one.name));
  const visible = all.map((_, index) => index).filter((index) => !state.hidden.has(index));
  const series = visible.map((index) => all[index]);
  const {colours, width} = context,
    count = chart.categories.length,
    many = count > bars_with_labels;
  const labels = Math.min(text_width(chart.categories, 11) + 2, width * 0.34);
  const most = Math.max(...stacked_totals(chart, series), chart.limit ? chart.limit.value : 0, 0) * 1.03 || 1;
  const zoom = many && !context.printing,
    right = zoom ? 34 : 22;
  const style = {...context, series_colours: visible.map((index) => all_colours[index])};
  const bars = bar_series(chart, series, style, width - labels - 10 - right, most);
  if (chart.limit && bars.length) bars[0].markLine = limit_mark(chart.limit, chart.unit, most, context);
  return {
    ...base_option(colours),
    tooltip: {
      ...base_option(colours).tooltip,
      trigger: "axis",
      axisPointer: {type: "shadow", shadowStyle: {color: colours.ink, opacity: 0.06}},
      formatter: (marks) => stacked_tooltip(chart, series, style.series_colours, marks[0].dataIndex),
    },
    grid: {left: labels + 10, right, top: chart.limit ? 26 : 6, bottom: 42, outerBoundsMode: "none"},
    xAxis: {
      ...axis_style(colours),
      type: "value",
      max: most,
      name: chart.unit,
      nameLocation: "middle",
      nameGap: 26,
      nameTruncate: {maxWidth: width - labels - 40, ellipsis: "…"},
      splitNumber: width < 500 ? 3 : 6,
      axisLabel: {color: colours.soft, fontSize: 11, hideOverlap: true, formatter: axis_text, showMaxLabel: false},
    },
    yAxis: {
      ...axis_style(colours),
      type: "category",
      inverse: true,
      data: chart.categories,
      axisLabel: {color: colours.ink, fontSize: 11, width: labels, overflow: "truncate", interval: many ? "auto" : 0},
    },
    dataZoom: zoom ? stacked_zoom(colours) : [],
    series: bars,
  };
}

function stacked_height(chart, state, context) {
  const count = chart.categories.length;
  const bar = count <= 12 ? 34 : count <= 24 ? 26 : context && context.printing ? 15 : 19;
  return (count > bars_with_labels ? 640 : count * bar + 10) + 48 + (chart.limit ? 20 : 0);
}

/// Names and colours of the series; a click hides one.
function stacked_legend(chart, state, redraw) {
  const shown = shown_series(chart);
  const colours = colours_of(shown.map((one) => one.name));
  const items = shown.map((one, index) => {
    const button = toggle("", !state.hidden.has(index), () => {
      const hide = !state.hidden.delete(index);
      if (hide) state.hidden.add(index);
      button.setAttribute("aria-pressed", String(!hide));
      redraw();
    });
    button.className = "legend-item";
    button.append(
      element("span", {class: "swatch", style: `background:${colours[index]}`}),
      element("span", {class: "clip", title: one.name}, series_text(one.name))
    );
    return button;
  });
  return element("div", {class: "legend", role: "group", "aria-label": "Series"}, items);
}

function stacked_rows(chart) {
  const unit = chart.unit ? ` [${chart.unit}]` : "";
  const columns = ["name", ...chart.series.map((one) => one.name + unit)];
  return {columns, rows: chart.categories.map((name, at) => [name, ...chart.series.map((one) => one.values[at])])};
}

const stacked_kind = {
  state: () => ({hidden: new Set()}),
  option: stacked_option,
  height: stacked_height,
  data: stacked_rows,
  above: (chart, state, redraw) => stacked_legend(chart, state, redraw),
};
