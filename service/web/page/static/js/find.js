// Search among the finished tasks, and the verdicts on candidates. The filter stands in the address, so that a search can
// be passed on.

import { byId, fill, h } from "./dom.js";
import { get, pathOf } from "./api.js";
import { plural, words } from "./format.js";
import { Pages } from "./pages.js";
import { taskRow, verdictRow } from "./rows.js";
import { plain } from "./text.js";

const PAGE = 10;
const TYPING_MS = 300;

export class Find {
  constructor(run) {
    this.form = byId("filter");
    this.models = new Set();
    this.pages = new Pages(byId("results"), byId("pager"), byId("found"), async (cursor, signal) => {
      const page = await get(pathOf(run, "tasks"), { ...this.filter(), limit: PAGE, cursor }, signal);
      this.offer(page.tasks.map((each) => each.task.provenance.model));
      const rows = page.tasks.map((each) => taskRow(run, each.task, new Date(each.finished_at), each.distance));
      return { rows, next: page.next, told: `${plural(page.total, "task")} found` };
    });
    this.restore();
    this.listen();
  }

  filter() {
    return Object.fromEntries([...new FormData(this.form)].map(([name, value]) => [name, value.trim()]));
  }

  restore() {
    for (const [name, value] of new URLSearchParams(location.search)) {
      const field = this.form.elements.namedItem(name);
      if (field === null) continue;
      // The topics of the run are not known yet.
      if (field.id === "topic") field.append(h("option", { value }, plain(value, 60)));
      field.value = value;
    }
  }

  listen() {
    let typing;
    const begin = () => {
      clearTimeout(typing);
      const asked = new URLSearchParams(Object.entries(this.filter()).filter(([, value]) => value !== "" && value !== "newest"));
      history.replaceState(null, "", asked.size > 0 ? `?${asked}${location.hash}` : location.pathname + location.hash);
      this.pages.first();
    };
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      begin();
    });
    this.form.addEventListener("input", () => {
      clearTimeout(typing);
      this.pages.wait();
      typing = setTimeout(begin, TYPING_MS);
    });
  }

  /** Offer the topics of the run's subject. */
  offerTopics(topics) {
    const field = byId("topic");
    if (field.options.length > topics.length) return;
    const chosen = field.value;
    fill(field, h("option", { value: "" }, "any"), topics.map((name) => h("option", { value: name }, plain(name, 60))));
    field.value = chosen;
  }

  offer(models) {
    for (const each of models) {
      if (this.models.has(each) || this.models.size >= 50) continue;
      this.models.add(each);
      byId("models").append(h("option", { value: each }));
    }
  }
}

export class Verdicts {
  constructor(run) {
    this.field = byId("reason");
    this.pages = new Pages(byId("verdict-list"), byId("verdicts-pager"), byId("verdicts-state"), async (cursor, signal) => {
      const page = await get(pathOf(run, "decisions"), { reason: this.field.value, limit: PAGE, cursor }, signal);
      const rows = page.verdicts.map((each) => verdictRow(run, each));
      return { rows, next: page.next, told: rows.length === 0 ? "None so far." : "The latest first." };
    });
    this.field.addEventListener("change", () => this.pages.first());
    byId("reasons").addEventListener("submit", (event) => event.preventDefault());
  }

  /** Offer the reasons for which candidates were rejected so far. */
  offerReasons(names) {
    const known = new Set([...this.field.options].map((each) => each.value));
    for (const each of names) if (!known.has(each)) this.field.append(h("option", { value: each }, words(each)));
  }
}
