// Numbers as people read them.

/// Decimals that show about four digits of the largest of the values.
function decimals_for(values) {
  const numbers = values.filter((value) => typeof value === "number");
  const largest = numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (largest >= 1000 || numbers.every(Number.isInteger)) return 0;
  if (largest >= 100) return 1;
  if (largest >= 1) return 2;
  return largest > 0 ? Math.min(9, 2 - Math.floor(Math.log10(largest))) : 0;
}

const number_formats = new Map();

function number_text(value, decimals = decimals_for([value])) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "-";
  if (!number_formats.has(decimals)) {
    const digits = {minimumFractionDigits: decimals, maximumFractionDigits: decimals};
    number_formats.set(decimals, new Intl.NumberFormat("en", digits));
  }
  return number_formats.get(decimals).format(value);
}

function with_unit(text, unit) {
  return unit ? `${text} ${unit}` : text;
}

/// A label of an axis: 12,000 and 0.05, without trailing zeros.
function axis_text(value) {
  return new Intl.NumberFormat("en", {maximumSignificantDigits: 6}).format(value);
}

/// The value below which the given share of the numbers lies; the largest of a few.
function percentile(values, share) {
  const sorted = Float64Array.from(values.filter((value) => typeof value === "number")).sort();
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] : 0;
}

function shortened(text, length) {
  const characters = Array.from(text);
  return characters.length <= length ? text : characters.slice(0, length - 1).join("") + "…";
}
