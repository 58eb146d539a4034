// Tables that sort by their columns.

const rows_at_first = 25;

/// Numbers before texts, undefined last whichever way it sorts.
function compare_cells(a, b, direction) {
  const empty = (cell) => cell === null || cell === undefined;
  if (empty(a) || empty(b)) return empty(a) - empty(b);
  if (typeof a === "number" && typeof b === "number") return direction * (a - b);
  if (typeof a === typeof b) return direction * a.localeCompare(b, "en", {numeric: true});
  return typeof a === "number" ? -1 : 1;
}

/// The best number of a column in which high or low is better; nothing where all are alike.
function best_of(rows, column, better) {
  const values = rows.map((row) => row[column]).filter((cell) => typeof cell === "number");
  if (!better || values.length < 2) return null;
  const least = Math.min(...values),
    most = Math.max(...values);
  return least === most ? null : better === "high" ? most : least;
}

function column_facts(table) {
  return table.columns.map((column, at) => {
    const cells = table.rows.map((row) => row[at]);
    const numbers = cells.filter((cell) => typeof cell === "number");
    const numeric = numbers.length > 0 && cells.every((cell) => typeof cell !== "string");
    const longest = cells.reduce((most, cell) => Math.max(most, typeof cell === "string" ? cell.length : 0), 0);
    return {numeric, decimals: decimals_for(numbers), best: best_of(table.rows, at, column.better), long: longest > 28};
  });
}

/// Instead of following the link.
function opened(act) {
  return (event) => {
    event.preventDefault();
    act();
  };
}

function cell_element(cell, fact, is_name, link) {
  const classes = [fact.numeric ? "number" : "", fact.long ? "long" : ""];
  let content = cell;
  if (typeof cell === "number") content = number_text(cell, fact.decimals);
  else if (cell === null || cell === undefined || cell === "") content = "-";
  else if (is_name && link(cell))
    content = element("a", {href: "#runs", class: "link", onclick: opened(link(cell))}, cell);
  if (fact.long && typeof cell === "string") content = element("div", {class: "lines", title: cell}, content);
  const best = typeof cell === "number" && cell === fact.best;
  if (best) classes.push("best");
  const attributes = {class: classes.filter(Boolean).join(" ") || null, title: best ? "best of this column" : null};
  return element(is_name ? "th" : "td", is_name ? {...attributes, scope: "row"} : attributes, content);
}

/// The order of the rows after the state; equal rows stay as they came.
function sorted_rows(table, state) {
  const order = table.rows.map((_, at) => at);
  if (state.column === null) return order;
  const cell = (at) => table.rows[at][state.column];
  return order.sort((a, b) => compare_cells(cell(a), cell(b), state.direction) || a - b);
}

function header_cell(column, fact, at, state, sort_by) {
  const sorted = state.column === at ? (state.direction > 0 ? "ascending" : "descending") : "none";
  const arrow = {ascending: "▲", descending: "▼", none: "↕"}[sorted];
  const button = element(
    "button",
    {type: "button", class: "sort", onclick: () => sort_by(at)},
    element(
      "span",
      {class: column.name.length > 14 ? "wordy" : "brief"},
      element("span", {class: "lines head-name", title: column.name}, column.name),
      element("span", {class: "arrow", "aria-hidden": "true"}, arrow)
    ),
    column.unit
      ? element(
          "span",
          {class: `lines unit ${column.unit.length > 14 ? "wordy" : "brief"}`, title: column.unit},
          column.unit
        )
      : null
  );
  return element("th", {scope: "col", "aria-sort": sorted, class: fact.numeric ? "number" : null}, button);
}

/// Columns of text, other than the first, that say the same in each of at least three rows; empty ones among them.
function constant_columns(table) {
  const same = (at) => table.rows.every((row) => row[at] === table.rows[0][at] && typeof row[at] !== "number");
  return table.rows.length < 3 ? [] : table.columns.map((_, at) => at).filter((at) => at > 0 && same(at));
}

/// The table without its constant columns, and a sentence with them.
function condensed(table) {
  const constant = constant_columns(table),
    kept = (_, at) => !constant.includes(at);
  const said = constant
    .filter((at) => table.rows[0][at])
    .map((at) => `${table.columns[at].name}: ${table.rows[0][at]}`);
  return {
    table: {columns: table.columns.filter(kept), rows: table.rows.map((row) => row.filter(kept))},
    same: said.length ? `The same in every row: ${said.join(" · ")}` : null,
  };
}

/// The table of {columns: [{name, unit, better}], rows}; link(name) may give what a click on a row's name does.
function table_element(whole, label, link = () => null) {
  const {table, same} = condensed(whole);
  const state = {column: null, direction: 1, all: false};
  const facts = column_facts(table);
  const head = element("thead"),
    body = element("tbody"),
    more = element("div", {class: "more"});
  const sort_by = (at) => {
    const first = facts[at].numeric && table.columns[at].better !== "low" ? -1 : 1;
    state.direction = state.column === at ? -state.direction : first;
    state.column = at;
    fill();
    head.querySelectorAll("button")[at].focus();
  };
  function fill() {
    head.replaceChildren(
      element(
        "tr",
        {},
        table.columns.map((column, at) => header_cell(column, facts[at], at, state, sort_by))
      )
    );
    const order = sorted_rows(table, state),
      shown = state.all ? order : order.slice(0, rows_at_first);
    body.replaceChildren(
      ...shown.map((at) =>
        element(
          "tr",
          {},
          table.rows[at].map((cell, column) => cell_element(cell, facts[column], column === 0, link))
        )
      )
    );
    more.replaceChildren(
      ...(shown.length === order.length
        ? []
        : [
            element(
              "button",
              {
                type: "button",
                class: "toggle",
                onclick: () => {
                  state.all = true;
                  fill();
                },
              },
              `Show all ${number_text(order.length)} rows`
            ),
          ])
    );
  }
  fill();
  const scroller = element(
    "div",
    {class: "scroller", tabindex: "0", role: "region", "aria-label": label},
    element("table", {}, element("caption", {class: "unseen"}, label), head, body)
  );
  return element("div", {}, scroller, same ? element("p", {class: "soft same"}, same) : null, more);
}

/// What table_element takes, from {columns: [text], rows}.
function plain_table(data) {
  return {columns: data.columns.map((name) => ({name, unit: null, better: null})), rows: data.rows};
}

function table_rows(chart) {
  return {
    columns: chart.columns.map((column) => (column.unit ? `${column.name} [${column.unit}]` : column.name)),
    rows: chart.rows,
  };
}
