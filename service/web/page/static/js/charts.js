// Charts by Vega-Lite, each with a table beside it. A chart is drawn when it comes into view, one at a time, and gets
// new values while it is in view. Without Vega the tables stand alone.

import { byId, fill, h, setText } from "./dom.js";
import { complaint, get, pathOf } from "./api.js";
import { head } from "./seeds.js";
import { CHARTS } from "./chart_list.js";

const REFRESH_MS = 20_000;
const MOST_TABLE_ROWS = 60;
const dark = matchMedia("(prefers-color-scheme: dark)");

let vega = null;

/** Load the bundle once; resolves to whether charts can be drawn. */
function loadVega() {
  vega ??= new Promise((resolve) => {
    const script = h("script", { src: "/static/vega.js", type: "module" });
    script.addEventListener("load", () => resolve(typeof window.vegaEmbed === "function"));
    script.addEventListener("error", () => {
      byId("charts-state").hidden = false;
      setText(byId("charts-state"), "Charts need the extra “web” (pip install 'seedstream[web]'), which is not installed at the service. The tables hold the same figures.");
      resolve(false);
    });
    document.head.append(script);
  });
  return vega;
}

export class Charts {
  constructor(run) {
    this.turn = Promise.resolve();
    this.charts = CHARTS.map((each) => new Chart(run, each));
    byId("figures").append(...this.charts.map((each) => each.figure));
    loadVega().then((isThere) => document.body.classList.toggle("without-charts", !isThere));
    this.watch();
    dark.addEventListener("change", () => this.redraw());
  }

  watch() {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const chart = this.charts.find((each) => each.figure === entry.target);
        chart.isSeen = entry.isIntersecting;
        if (chart.isSeen && chart.isStale) this.soon(chart);
      }
    }, { rootMargin: "100px" });
    for (const each of this.charts) seen.observe(each.figure);
    setInterval(() => this.refresh(), REFRESH_MS);
  }

  refresh() {
    for (const each of this.charts) {
      each.isStale = true;
      if (each.isSeen && !document.hidden) this.soon(each);
    }
  }

  redraw() {
    for (const each of this.charts) each.forget();
    this.refresh();
  }

  /** Bring a chart up to date: its table at once, its drawing after those that came before it. */
  async soon(chart) {
    chart.isStale = false;
    const values = await chart.read();
    if (values.length === 0 || !(await loadVega())) return;
    this.turn = this.turn.then(() => idle()).then(() => chart.draw(values)).catch((error) => chart.tell(error));
  }
}

class Chart {
  constructor(run, { name, of, title, about, columns, pick }) {
    Object.assign(this, { name, columns, pick, isSeen: false, isStale: true, view: null });
    this.path = pathOf(run, "charts", of ?? name);
    this.canvas = h("div", { class: "canvas", "aria-hidden": "true" });
    this.drawing = h("div", { class: "drawing", role: "img", "aria-label": `${title}. The table below has the figures.` }, this.canvas);
    this.table = h("tbody");
    this.note = h("p", { class: "note" }, "reading …");
    this.figure = h(
      "figure",
      {},
      h("figcaption", {}, h("h3", {}, title), h("p", { class: "note" }, about)),
      this.drawing,
      this.note,
      h("details", {}, h("summary", {}, "Table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Table: ${title}` },
        h("table", {}, head(...columns.map(([label]) => label)), this.table))),
    );
  }

  forget() {
    this.view?.finalize();
    this.view = null;
    fill(this.canvas);
  }

  /** Read the values into the table, and return them. */
  async read() {
    try {
      const { values } = await get(this.path);
      const picked = this.pick(values);
      this.note.hidden = picked.length > 0;
      setText(this.note, "Nothing to show yet.");
      this.fillTable(picked);
      return picked;
    } catch (error) {
      this.tell(error);
      return [];
    }
  }

  tell(error) {
    this.note.hidden = false;
    fill(this.note, complaint(error));
  }

  async draw(values) {
    if (this.view !== null) {
      await this.view.view.data("values", values).resize().runAsync();
      return;
    }
    const spec = await get(`/charts/${this.name}.vl.json`);
    const options = { ast: true, actions: false, renderer: "svg", config: config(), tooltip: { theme: dark.matches ? "dark" : "light" } };
    this.view = await window.vegaEmbed(this.canvas, { ...spec, data: { name: "values", values } }, options);
  }

  /** Show the latest rows; more of them would be no help to anybody. */
  fillTable(values) {
    const rows = values.slice(-MOST_TABLE_ROWS).reverse();
    fill(this.table, rows.map((value) => h("tr", {}, this.columns.map(([, show], at) => (
      at === 0 ? h("th", { scope: "row" }, show(value)) : h("td", { class: "number" }, show(value))
    )))));
  }
}

/** Return the style of charts in the colours of the page. */
function config() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const axis = { labelColor: colour("soft"), titleColor: colour("soft"), gridColor: colour("line"), domainColor: colour("line"), tickColor: colour("line") };
  const font = "system-ui, sans-serif";
  return {
    background: "transparent",
    font,
    view: { stroke: null },
    axis: { ...axis, labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal", titlePadding: 8, labelPadding: 6, ticks: false, domain: false },
    legend: { labelColor: colour("soft"), titleColor: colour("soft"), labelFontSize: 11, symbolType: "square", orient: "bottom", columns: 3, title: null, labelLimit: 140 },
    range: { category: Array.from({ length: 8 }, (_, at) => colour(`chart-${at + 1}`)) },
    line: { color: colour("accent"), strokeWidth: 2 },
    area: { color: colour("accent"), fillOpacity: 0.9 },
    bar: { color: colour("accent") },
  };
}

function idle() {
  return new Promise((resolve) => (window.requestIdleCallback ?? setTimeout)(resolve));
}
