// The whole report, from the document inside it.

const verdicts = {good: ["✓", "objective met"], bad: ["✗", "objective missed"], neutral: ["", ""]};
const statuses = {
  done: ["✓", "done"],
  infeasible: ["✗", "infeasible"],
  invalid: ["✗", "invalid"],
  failed: ["✗", "failed"],
  unfinished: ["…", "unfinished"],
};

function tile(one) {
  const [mark, meaning] = verdicts[one.verdict] || verdicts.neutral;
  return element(
    "div",
    {class: `tile ${Object.hasOwn(verdicts, one.verdict) ? one.verdict : "neutral"}`},
    element("div", {class: "tile-label lines", title: one.label}, one.label),
    element(
      "div",
      {class: `tile-value lines${one.value.length > 16 ? " wordy" : ""}`, title: one.value},
      mark ? element("span", {class: "mark", role: "img", "aria-label": meaning}, mark) : null,
      one.value
    ),
    one.detail ? element("div", {class: "tile-detail lines", title: one.detail}, one.detail) : null
  );
}

function page_header(report) {
  return element(
    "header",
    {class: "page-header"},
    element("p", {class: "overline"}, report.kind === "comparison" ? "Moesim comparison" : "Moesim run"),
    element("h1", {class: "lines", title: report.title}, report.title),
    report.subtitle ? element("p", {class: "subtitle"}, report.subtitle) : null,
    report.question ? element("p", {class: "question"}, report.question) : null
  );
}

function status_mark(status) {
  const [mark, word] = statuses[status] || ["", status];
  return element("span", {class: `status ${status === "done" ? "good" : "bad"}`}, `${mark} ${word}`);
}

function fact_list(facts) {
  return element(
    "dl",
    {class: "facts"},
    facts.map(([name, text]) => element("div", {}, element("dt", {}, name), element("dd", {}, text)))
  );
}

function note_list(notes) {
  return element(
    "ul",
    {class: "notes"},
    notes.map((note) => element("li", {}, note))
  );
}

/// Why a run is not done, and what would help.
function refusal(run) {
  if (!run.reason) return null;
  return element(
    "div",
    {class: "reason"},
    element("p", {}, run.reason),
    run.remedies.length ? element("p", {class: "remedies"}, "What would help:") : null,
    run.remedies.length ? note_list(run.remedies) : null
  );
}

/// Everything about one run.
function run_body(run, report_name) {
  return [
    element(
      "div",
      {class: "run-head"},
      element("h3", {class: "run-name lines", title: run.label}, run.label),
      status_mark(run.status)
    ),
    run.headline ? element("p", {class: "headline"}, run.headline) : null,
    refusal(run),
    cards(run.charts, file_name(report_name, run.label)),
    run.facts.length
      ? element(
          "section",
          {class: "card"},
          element("h3", {}, "Set-up and where the numbers come from"),
          fact_list(run.facts)
        )
      : null,
    run.notes.length
      ? element(
          "section",
          {class: "card"},
          element("h3", {}, "Assumptions, and what is not modelled"),
          note_list(run.notes)
        )
      : null,
  ].filter(Boolean);
}

/// A section that shows one run, and select(index) that changes it.
function run_section(report) {
  const body = element("div", {class: "run-body"});
  const show = (index) => {
    forget(body);
    body.replaceChildren(...run_body(report.runs[index], report.title));
  };
  const many = report.runs.length > 1;
  const picker = element(
    "select",
    {id: "run", onchange: () => show(Number(picker.value))},
    report.runs.map((run, index) => {
      const state = run.status === "done" ? "" : ` (${run.status})`;
      return element("option", {value: String(index)}, shortened(run.label, 90) + state);
    })
  );
  const step = (by) => {
    const count = report.runs.length;
    picker.value = String((Number(picker.value) + by + count) % count);
    show(Number(picker.value));
  };
  const arrow = (text, label, by) =>
    element("button", {type: "button", class: "toggle", "aria-label": label, onclick: () => step(by)}, text);
  const bar = many
    ? element(
        "div",
        {class: "run-bar"},
        element("label", {for: "run"}, "Show run"),
        picker,
        arrow("‹", "previous run", -1),
        arrow("›", "next run", 1)
      )
    : null;
  const on_paper = many
    ? element(
        "p",
        {class: "soft paper-only"},
        `This paper shows one of the ${report.runs.length} runs, the one that was chosen on the screen. ` +
          "The file itself shows each of them."
      )
    : null;
  const section = element(
    "section",
    {id: "runs"},
    element("h2", {}, many ? `The ${report.runs.length} runs, one by one` : "The run"),
    bar,
    on_paper,
    body
  );
  if (report.runs.length) show(0);
  const select = (index) => {
    picker.value = String(index);
    show(index);
    section.scrollIntoView({behavior: "smooth"});
  };
  return {section: report.runs.length ? section : null, select};
}

/// What made the data, as opposed to the commands below the charts, which draw them.
function origin(report) {
  if (!report.commands.length) return null;
  const line = (command) => {
    const copy = element(
      "button",
      {type: "button", class: "copy", onclick: () => copy_text(command, copy)},
      "Copy command"
    );
    return element("div", {class: "command"}, element("code", {}, command), copy);
  };
  return element(
    "section",
    {class: "card origin"},
    element("h2", {}, report.commands.length === 1 ? "The command that made this" : "The commands that made this"),
    report.commands.map(line)
  );
}

function glossary(report) {
  if (!report.glossary.length) return null;
  return element("section", {class: "card glossary"}, element("h2", {}, "Glossary"), fact_list(report.glossary));
}

function build(report) {
  const runs = run_section(report);
  const link = (name) => {
    const index = report.runs.length > 1 ? report.runs.findIndex((run) => run.label === name) : -1;
    return index < 0 ? null : () => runs.select(index);
  };
  document
    .getElementById("report")
    .append(
      ...[
        page_header(report),
        report.tiles.length
          ? element("section", {class: "tiles", "aria-label": "Verdicts"}, report.tiles.map(tile))
          : null,
        report.charts.length ? cards(report.charts, report.title, link) : null,
        runs.section,
        origin(report),
        glossary(report),
        element(
          "footer",
          {class: "page-footer"},
          `moesim ${report.version}. This file holds its data and needs no network.`
        ),
      ].filter(Boolean)
    );
}

build(JSON.parse(document.getElementById("document").textContent));
