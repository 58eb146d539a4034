// Points where high y and low x are better, the front of the best ones, and the limit of x.

const direct_labels = 14,
  direct_length = 24; // more or longer names become numbers with a key below

/// Short names stand at their points, others as numbers.
function has_key(chart) {
  return chart.points.length > direct_labels || chart.points.some((point) => point.label.length > direct_length);
}

function padded(values) {
  const low = Math.min(...values),
    high = Math.max(...values);
  const room = 0.08 * (high - low || Math.abs(high) || 1);
  return [low - room, high + 1.5 * room];
}

/// The drawn part of both axes; the limit of x belongs to it unless it is far away.
function pareto_range(chart) {
  const points = chart.points.filter((point) => typeof point.x === "number" && typeof point.y === "number");
  const xs = points.map((point) => point.x),
    y = padded(points.length ? points.map((point) => point.y) : [0, 1]);
  const x = padded(xs.length ? xs : [0, 1]);
  const limit = chart.limit ? chart.limit.value : null,
    span = x[1] - x[0];
  const near = limit !== null && limit > x[0] - span && limit < x[1] + 2 * span;
  const wide = near ? padded([...xs, limit]) : x;
  return {x: [Math.max(0, wide[0]), wide[1]], y: [Math.max(0, y[0]), y[1]], limit: near ? limit : null};
}

function point_label(chart, context) {
  const numbered = has_key(chart);
  return {
    show: true,
    color: context.colours.ink,
    fontSize: numbered ? 10 : 11,
    distance: 6,
    formatter: ({data}) => (numbered ? String(data.number) : shortened(data.name, direct_length)),
  };
}

function pareto_tooltip(chart, point) {
  return tooltip_box(point.name, [
    [null, chart.x.label, with_unit(number_text(point.value[0]), chart.x.unit)],
    [null, chart.y.label, with_unit(number_text(point.value[1]), chart.y.unit)],
    [null, point.front ? "on the Pareto front" : "another is at least as good in both", ""],
  ]);
}

/// The front's line comes from below and leaves to the right.
function label_place(point, middle, numbered) {
  if (point.on_front) return numbered || point.x <= middle ? "top" : "left";
  return point.x > middle && !numbered ? "left" : "right";
}

function point_items(chart, context, range) {
  const {colours} = context,
    middle = (range.x[0] + range.x[1]) / 2;
  return chart.points
    .map((point, at) => ({
      name: point.label,
      number: at + 1,
      front: point.on_front,
      value: [point.x, point.y],
      symbol: point.on_front ? "circle" : "emptyCircle",
      symbolSize: point.on_front ? 11 : 9,
      itemStyle: {color: point.on_front ? colours.accent : colours.soft},
      label: {position: label_place(point, middle, has_key(chart))},
    }))
    .filter((item) => item.value.every((value) => typeof value === "number"));
}

/// The shaded part misses the limit; the name stands above the plot, on the side with room.
function limit_area(chart, range, {colours, width}) {
  const label = {
    formatter: () =>
      `${shortened(chart.limit.name, Math.round(width / 14))} ${with_unit(number_text(range.limit), chart.x.unit)}`,
    position: "end",
    align: range.limit > (range.x[0] + range.x[1]) / 2 ? "right" : "left",
    color: colours.bad,
    fontSize: 11,
    distance: 6,
  };
  return {
    markLine: {
      silent: true,
      symbol: "none",
      animation: false,
      lineStyle: {color: colours.bad, type: "dashed", width: 1.5},
      label,
      data: [{xAxis: range.limit}],
    },
    markArea: {
      silent: true,
      animation: false,
      itemStyle: {color: colours.shade},
      data: [[{xAxis: range.limit}, {xAxis: range.x[1]}]],
    },
  };
}

function pareto_axis(axis, bounds, colours, room) {
  return {
    ...axis_style(colours),
    type: "value",
    min: bounds[0],
    max: bounds[1],
    name: with_unit(axis.label, axis.unit ? `(${axis.unit})` : ""),
    nameLocation: "middle",
    nameTruncate: {maxWidth: room, ellipsis: "…"},
    axisLabel: {
      color: colours.soft,
      fontSize: 11,
      hideOverlap: true,
      showMinLabel: false,
      showMaxLabel: false,
      formatter: axis_text,
    },
  };
}

function pareto_option(chart, state, context) {
  const {colours} = context,
    range = pareto_range(chart),
    narrow = context.width < 500;
  const items = point_items(chart, context, range);
  const front = items
    .filter((item) => item.front)
    .map((item) => item.value)
    .sort((a, b) => a[0] - b[0]);
  return {
    ...base_option(colours),
    tooltip: {...base_option(colours).tooltip, formatter: (mark) => pareto_tooltip(chart, mark.data)},
    grid: {left: 66, right: 16, top: range.limit === null ? 10 : 28, bottom: 46, outerBoundsMode: "none"},
    xAxis: {...pareto_axis(chart.x, range.x, colours, context.width - 90), nameGap: 28, splitNumber: narrow ? 3 : 6},
    yAxis: {...pareto_axis(chart.y, range.y, colours, 260), nameGap: 50},
    series: [
      {
        type: "line",
        data: front,
        step: "end",
        symbol: "none",
        silent: true,
        lineStyle: {color: colours.accent, width: 1.5, opacity: 0.7},
        tooltip: {show: false},
      },
      {
        type: "scatter",
        data: items,
        label: point_label(chart, context),
        labelLayout: {hideOverlap: true},
        cursor: "default",
        ...(range.limit === null ? {} : limit_area(chart, range, context)),
      },
    ],
  };
}

/// What the numbers at the points stand for, and a limit that lies outside.
function pareto_key(chart) {
  const parts = [];
  if (chart.limit && pareto_range(chart).limit === null) {
    const limit = `${chart.limit.name} ${with_unit(number_text(chart.limit.value), chart.x.unit)}`;
    parts.push(element("p", {class: "soft"}, `The limit, ${limit}, lies outside the drawn part.`));
  }
  if (has_key(chart)) {
    parts.push(
      element(
        "ol",
        {class: "key"},
        chart.points.map((point) =>
          element(
            "li",
            {class: point.on_front ? "front" : ""},
            element("span", {class: "clip", title: point.label}, point.label)
          )
        )
      )
    );
  }
  return parts.length ? element("div", {}, parts) : null;
}

function pareto_rows(chart) {
  const named = (axis) => with_unit(axis.label, axis.unit ? `[${axis.unit}]` : "");
  const columns = ["label", named(chart.x), named(chart.y), "on_front"];
  return {columns, rows: chart.points.map((point) => [point.label, point.x, point.y, point.on_front ? "yes" : "no"])};
}

const pareto_kind = {
  state: () => ({}),
  option: pareto_option,
  height: (chart, state, context) => (context.width < 500 ? 320 : 400),
  data: pareto_rows,
  below: pareto_key,
};
