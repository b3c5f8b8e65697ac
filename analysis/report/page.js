"use strict";
// Draws the figures, follows light and dark, and shows the table of all trials a page at a time.

const PAGE_ROWS = 50;
const BUTTONS = [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d"]]; // none that sends anything
const PRINT_WIDTHS = { single: 680, grid: 220 };
const root = document.documentElement;
const data = (id) => JSON.parse(document.getElementById(id).textContent);

// Colours: "--name" in a figure is a property of the style sheet, which knows light from dark.
function painted(value, styles, key = "") {
  if (Array.isArray(value)) return value.map((held) => painted(held, styles, key));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, painted(held, styles, name)]));
  }
  const isColour = typeof value === "string" && value.startsWith("--") && /color(scale)?$/.test(key);
  return isColour ? styles.getPropertyValue(value).trim() : value;
}

function template(styles) {
  const colour = (name) => styles.getPropertyValue(name).trim();
  const axis = { gridcolor: colour("--grid"), linecolor: colour("--axis"), zeroline: false, automargin: true, exponentformat: "none", separatethousands: true, title: { standoff: 8 } };
  return {
    layout: {
      font: { family: "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif", size: 12, color: colour("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: axis,
      yaxis: axis,
      hoverlabel: { bgcolor: colour("--wash"), bordercolor: colour("--axis"), font: { color: colour("--ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--axis"), activecolor: colour("--ink") },
      legend: { orientation: "h", itemsizing: "constant", x: 0, yref: "container", y: 1, yanchor: "top" },
      margin: { l: 56, r: 12, t: 12, b: 44 },
    },
  };
}

class Plots {
  constructor(figures) {
    this.figures = figures;
    this.places = [...document.querySelectorAll(".plot")];
    this.layouts = figures.map((figure) => figure.layout);
    this.widths = null; // in pixels, on paper; on a screen figures are as wide as there is room
  }

  async draw() {
    const styles = getComputedStyle(root);
    const shownPlaces = this.places.filter((place) => !place.closest("[hidden]"));
    await Promise.all(shownPlaces.map((place) => {
      const number = Number(place.dataset.figure);
      const traces = painted(this.figures[number].data, styles);
      const layout = { ...painted(this.layouts[number], styles), template: template(styles) };
      layout.autosize = !this.widths;
      layout.width = this.widths?.[place.closest(".grid") ? "grid" : "single"];
      return Plotly.react(place, traces, layout, { responsive: true, displaylogo: false, modeBarButtons: BUTTONS, displayModeBar: place.closest(".grid, .wide") ? false : "hover" });
    }));
    root.dataset.drawn = shownPlaces.length;
  }

  // Figures at several epochs: a reader chooses which are shown.
  addEpochs() {
    for (const part of document.querySelectorAll(".by-epoch")) {
      const views = [...part.querySelectorAll(".view")];
      if (views.length < 2) continue;
      const chosen = document.createElement("select");
      chosen.append(...views.map((view) => new Option(`epoch ${view.dataset.epoch}`)));
      chosen.addEventListener("change", () => {
        views.forEach((view, n) => { view.hidden = n !== chosen.selectedIndex; });
        this.draw();
      });
      const label = document.createElement("label");
      label.append("at ", chosen);
      part.prepend(label);
    }
  }

  addSwitches() {
    for (const place of this.places) {
      const number = Number(place.dataset.figure);
      if (!this.figures[number].switches.length) continue;
      const bar = document.createElement("div");
      bar.className = "switches";
      for (const axis of this.figures[number].switches) bar.append(this.button(place, number, `${axis}axis`));
      place.closest("figure").prepend(bar);
    }
  }

  button(place, number, axis) {
    const button = document.createElement("button");
    button.type = "button";
    const name = axis === "xaxis" ? "horizontal" : "vertical";
    const show = () => {
      const isLog = this.layouts[number][axis].type === "log";
      button.textContent = `${name} axis: ${isLog ? "logarithmic" : "linear"}`;
      button.setAttribute("aria-pressed", String(isLog));
    };
    button.addEventListener("click", () => {
      const layout = structuredClone(this.layouts[number]);
      layout[axis].type = layout[axis].type === "log" ? "linear" : "log";
      delete layout[axis].range; // which is in the units of the other kind
      this.layouts[number] = layout;
      show();
      Plotly.relayout(place, { [`${axis}.type`]: layout[axis].type, [`${axis}.autorange`]: true });
    });
    show();
    return button;
  }
}

// One condition of the filter: "lr<0.01", "state=stopped", or a text that any cell may hold.
function condition(word, columns) {
  const found = word.match(/^(.+?)(<=|>=|<|>|=)(.+)$/);
  const place = found ? columns.findIndex((name) => name.toLowerCase() === found[1]) : -1;
  if (place < 0) return (row) => row.some((cell) => cell !== null && String(cell).toLowerCase().includes(word));
  const [, , sign, text] = found;
  const bound = Number(text);
  return (row) => {
    const cell = row[place];
    if (cell === null) return false;
    if (typeof cell !== "number") return sign === "=" && String(cell).toLowerCase() === text;
    return { "<": cell < bound, "<=": cell <= bound, ">": cell > bound, ">=": cell >= bound, "=": cell === bound }[sign];
  };
}

function compared(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "number") return -1;
  if (typeof b === "number") return 1;
  return String(a).localeCompare(String(b));
}

function shown(cell, digits) {
  if (cell === null) return "";
  return typeof cell === "number" && !Number.isInteger(cell) ? String(Number(cell.toPrecision(digits))) : String(cell);
}

class TrialTable {
  constructor(place, { columns, rows, digits, sorted, descending }) {
    Object.assign(this, { place, columns, rows, digits, found: rows, sorted, sign: descending ? -1 : 1, first: 0 });
    this.isNumber = columns.map((_, n) => rows.every((row) => row[n] === null || typeof row[n] === "number"));
    this.filter = Object.assign(document.createElement("input"), { type: "search", placeholder: "filter: words, or lr<0.01 state=completed" });
    this.filter.setAttribute("aria-label", "Filter the trials");
    this.filter.addEventListener("input", () => this.choose());
    this.before = this.pager("‹", -PAGE_ROWS, "Rows before");
    this.after = this.pager("›", PAGE_ROWS, "Rows after");
    this.count = document.createElement("span");
    this.count.setAttribute("role", "status");
    const controls = document.createElement("div");
    controls.className = "controls";
    controls.append(this.filter, this.before, this.after, this.count);
    this.headers = columns.map((name, n) => this.header(name, n));
    this.body = document.createElement("tbody");
    const head = document.createElement("thead");
    const line = document.createElement("tr");
    line.append(...this.headers);
    head.append(line);
    const table = document.createElement("table");
    table.append(head, this.body);
    const frame = document.createElement("div");
    frame.className = "frame";
    frame.append(table);
    place.append(controls, frame);
    this.choose();
  }

  pager(text, step, name) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    button.setAttribute("aria-label", name);
    button.addEventListener("click", () => { this.first += step; this.render(); });
    return button;
  }

  header(name, n) {
    const header = document.createElement("th");
    header.scope = "col";
    if (this.isNumber[n]) header.className = "number";
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.addEventListener("click", () => {
      this.sign = this.sorted === n ? -this.sign : 1;
      this.sorted = n;
      this.choose();
    });
    header.append(button);
    return header;
  }

  choose() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const conditions = words.map((word) => condition(word, this.columns));
    this.found = this.rows.filter((row) => conditions.every((holds) => holds(row)));
    const n = this.sorted;
    const has = this.found.filter((row) => row[n] !== null).sort((a, b) => this.sign * compared(a[n], b[n]));
    this.found = [...has, ...this.found.filter((row) => row[n] === null)]; // what is not there stands last
    this.first = 0;
    this.render();
  }

  render() {
    const shownRows = this.found.slice(this.first, this.first + PAGE_ROWS);
    this.body.replaceChildren(...shownRows.map((row) => this.line(row)));
    this.headers.forEach((header, n) => {
      if (n === this.sorted) header.setAttribute("aria-sort", this.sign > 0 ? "ascending" : "descending");
      else header.removeAttribute("aria-sort");
    });
    const last = this.first + shownRows.length;
    const all = this.found.length < this.rows.length ? ` (of ${this.rows.length} trials)` : "";
    this.count.textContent = this.found.length ? `${this.first + 1} to ${last} of ${this.found.length}${all}` : `none${all}`;
    this.before.disabled = this.first === 0;
    this.after.disabled = last >= this.found.length;
  }

  line(row) {
    const line = document.createElement("tr");
    line.append(...row.map((value, n) => {
      const cell = document.createElement("td");
      cell.textContent = shown(value, this.digits[n]);
      if (this.isNumber[n]) cell.className = "number";
      else if (n === 1) cell.className = `state ${value}`;
      else if (cell.textContent.length > 40) cell.className = "long";
      return cell;
    }));
    return line;
  }
}

const plots = new Plots(data("figures"));
const tables = data("trials-data");
document.querySelectorAll(".trials").forEach((place) => new TrialTable(place, tables[Number(place.dataset.table)]));
plots.addSwitches();
plots.addEpochs();
plots.draw();

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme || (prefersDark.matches ? "dark" : "light")) === "dark";
const toggle = document.getElementById("theme");
const nameToggle = () => { toggle.textContent = isDark() ? "Light" : "Dark"; };
toggle.hidden = false;
toggle.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  nameToggle();
  plots.draw();
});
prefersDark.addEventListener("change", () => { nameToggle(); plots.draw(); });
nameToggle();

// Paper is white, and as wide as it is.
let themeBefore;
addEventListener("beforeprint", () => {
  themeBefore = root.dataset.theme;
  root.dataset.theme = "light";
  plots.widths = PRINT_WIDTHS;
  plots.draw(); // before this handler ends, for then the page is printed
});
addEventListener("afterprint", () => {
  if (themeBefore === undefined) delete root.dataset.theme;
  else root.dataset.theme = themeBefore;
  plots.widths = null;
  plots.draw();
});
