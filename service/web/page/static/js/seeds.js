// The seed tasks of a run by what came of the prompts that showed them, and a form for another one.

import { byId, fill, h } from "./dom.js";
import { complaint, get, pageOf, pathOf, write } from "./api.js";
import { count, NONE, plural, share } from "./format.js";
import { Pages } from "./pages.js";
import { line } from "./text.js";

const PAGE = 50;

export class Seeds {
  constructor(run) {
    this.path = pathOf(run, "seeds");
    const body = h("tbody");
    byId("seeds-table").append(h("table", {}, head("Seed", "Prompts", "Candidates", "Accepted", "Finished", "Yield"), body));
    this.pages = new Pages(body, byId("seeds-pager"), byId("seeds-state"), async (cursor, signal) => {
      const page = await get(this.path, { limit: PAGE, cursor }, signal);
      const rows = [...page.seeds].sort((one, other) => yieldOf(other) - yieldOf(one)).map((each) => row(run, each));
      const told = `${plural(page.total ?? page.seeds.length, "seed")}. The yield is the share of accepted candidates whose prompt showed the seed.`;
      return { rows, next: page.next, told };
    });
    byId("seed").addEventListener("submit", (event) => {
      event.preventDefault();
      this.add(event.target);
    });
  }

  async add(form) {
    const { instruction, input, output, is_classification: kind } = Object.fromEntries(new FormData(form));
    try {
      await write("POST", this.path, { instruction, instances: [{ input, output }], is_classification: kind === "true" });
      form.reset();
      fill(byId("seed-outcome"), h("p", { class: "note" }, "The seed is submitted. It joins the pool once admit has judged it."));
    } catch (error) {
      fill(byId("seed-outcome"), complaint(error));
    }
  }
}

export function head(...names) {
  return h("thead", {}, h("tr", {}, names.map((name, at) => h("th", { scope: "col", class: at === 0 ? null : "number" }, name))));
}

function yieldOf({ candidates, accepted }) {
  return candidates > 0 ? accepted / candidates : 0;
}

function row(run, seed) {
  const figures = [seed.prompts, seed.candidates, seed.accepted, seed.finished].map((each) => h("td", { class: "number" }, count(each)));
  const name = h("th", { scope: "row" }, h("a", { href: pageOf(run, seed.id) }, line(seed.instruction, 120)));
  return h("tr", {}, name, figures, h("td", { class: "number" }, seed.candidates > 0 ? share(yieldOf(seed)) : NONE));
}
