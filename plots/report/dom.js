// Elements, whose text is always text, and files to save.

/// element("button", {class: "a", onclick: f, "aria-pressed": true}, "text", child, null)
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/// A button that is on or off.
function toggle(text, pressed, onclick) {
  return element("button", {type: "button", class: "toggle", "aria-pressed": String(pressed), onclick}, text);
}

/// Buttons of which one is on; chosen(index) hears of a change.
function choice(label, names, current, chosen) {
  const buttons = names.map((name, index) =>
    toggle(name, index === current, () => {
      buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === index)));
      chosen(index);
    })
  );
  return element("span", {class: "choice", role: "group", "aria-label": label}, buttons);
}

/// A text that a spreadsheet would take for a formula gets an apostrophe; a number is none.
function harmless(cell) {
  return typeof cell === "string" && /^[=+\-@\t\r]/.test(cell) && Number.isNaN(Number(cell)) ? `'${cell}` : cell;
}

/// A line of CSV after RFC 4180.
function csv_line(cells) {
  const quoted = cells.map((cell) => {
    const text = cell === null || cell === undefined ? "" : String(harmless(cell));
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return quoted.join(",") + "\r\n";
}

function save_file(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], {type}));
  const link = element("a", {href: address, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

/// A file name that every system takes.
function file_name(...parts) {
  const safe = parts.filter(Boolean).map((part) =>
    part
      .replace(/[^\p{L}\p{N}-]+/gu, "_")
      .replace(/^_+|_+$/g, "")
      .slice(0, 80)
  );
  return safe.filter(Boolean).join("-") || "chart";
}

async function copy_text(text, button) {
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it and copy"; // some browsers keep the clipboard from files
  }
  setTimeout(() => {
    button.textContent = said;
  }, 1500);
}
