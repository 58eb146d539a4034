// Colours of the charts. Series: Okabe and Ito, Color Universal Design, 2008; heat: viridis, Smith and van der Walt,
// 2015.

const series_colours = {
  attention: "#0072B2",
  tp_collective: "#56B4E9",
  dispatch: "#E69F00",
  offload: "#CC79A7",
  experts: "#009E73",
  combine: "#D55E00",
  dense: "#F0E442",
  pipeline: "#8C6D4F",
  host: "#6B7280",
  other: "#A9B0BB",
  wait: "#D5D9DF",
};
const series_words = {tp_collective: "TP collective", kv_cache: "KV cache"};
const spare_colours = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#9A9A9A"];
const heat_colours = [
  "#440154",
  "#482878",
  "#3E4989",
  "#31688E",
  "#26828E",
  "#1F9E89",
  "#35B779",
  "#6ECE58",
  "#B5DE2B",
  "#FDE725",
];

const light_inks = {
  ink: "#1F2733",
  soft: "#5B6675",
  line: "#D9DEE5",
  faint: "#EEF1F4",
  card: "#FFFFFF",
  accent: "#0072B2",
  bad: "#B3400A",
  shade: "rgba(213,94,0,0.08)",
};
const dark_inks = {
  ink: "#E6E9EE",
  soft: "#A3ADBB",
  line: "#3A4350",
  faint: "#262D37",
  card: "#1A2029",
  accent: "#56B4E9",
  bad: "#F08A4B",
  shade: "rgba(240,138,75,0.12)",
};
const chart_font = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';

const prefers_dark = matchMedia("(prefers-color-scheme: dark)");

/// Paper is light whatever the screen is.
function inks(printing) {
  return !printing && prefers_dark.matches ? dark_inks : light_inks;
}

/// What a table says of a series; its names have no blanks.
function own(table, name) {
  const key = name.replaceAll(" ", "_");
  return Object.hasOwn(table, key) ? table[key] : null;
}

/// A colour for each series: the known names keep theirs in every report.
function colours_of(names) {
  let spare = 0;
  return names.map((name) => own(series_colours, name) || spare_colours[spare++ % spare_colours.length]);
}

function series_text(name) {
  return own(series_words, name) || name;
}

/// The colour of a share from 0 to 1 of the heat scale.
function heat_colour(share) {
  const at = Math.min(1, Math.max(0, share)) * (heat_colours.length - 1),
    low = Math.min(Math.floor(at), heat_colours.length - 2);
  const channels = [1, 3, 5].map((digit) => {
    const [from, to] = [low, low + 1].map((index) => parseInt(heat_colours[index].slice(digit, digit + 2), 16));
    return Math.round(from + (at - low) * (to - from));
  });
  return `rgb(${channels.join(",")})`;
}

/// Black or white, whichever reads better on the colour.
function ink_on(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#111111" : "#FFFFFF";
}

/// What all charts share.
function base_option(colours) {
  return {
    animation: false,
    textStyle: {fontFamily: chart_font, color: colours.ink},
    tooltip: {
      confine: true,
      borderWidth: 1,
      borderColor: colours.line,
      backgroundColor: colours.card,
      padding: [8, 10],
      textStyle: {color: colours.ink, fontSize: 12, fontFamily: chart_font},
      extraCssText: "max-width:min(420px,90vw);white-space:normal",
    },
  };
}

function axis_style(colours) {
  return {
    axisLine: {lineStyle: {color: colours.line}},
    axisTick: {show: false},
    axisLabel: {color: colours.soft, fontSize: 11},
    nameTextStyle: {color: colours.soft, fontSize: 12},
    splitLine: {lineStyle: {color: colours.faint}},
  };
}

/// The inside of a tooltip: a title, and rows of [colour or null, name, value].
function tooltip_box(title, rows) {
  const lines = rows.map(([colour, name, value]) =>
    element(
      "div",
      {class: "tip-row"},
      colour ? element("span", {class: "swatch", style: `background:${colour}`}) : null,
      element("span", {class: "tip-name"}, name),
      element("span", {class: "tip-value"}, value)
    )
  );
  return element("div", {class: "tip"}, element("div", {class: "tip-title"}, title), lines);
}

const ruler = document.createElement("canvas").getContext("2d");

/// Pixels that the widest of the texts takes in the given font size.
function text_width(texts, size) {
  ruler.font = `${size}px ${chart_font}`;
  return texts.reduce((most, text) => Math.max(most, ruler.measureText(text).width), 0);
}
