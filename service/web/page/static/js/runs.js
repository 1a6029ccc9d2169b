// The page of all runs. The figures of a run come when it is read, one run after the other.

import { byId, h, setText } from "./dom.js";
import { complaint, get, pageOf, pathOf } from "./api.js";
import { count, plural } from "./format.js";
import { stateOf } from "./glance.js";
import { maySteer } from "./session.js";
import { line } from "./text.js";

const MOST_READ = 24;

async function begin() {
  const state = byId("state");
  try {
    const { runs } = await get("/v1/runs");
    setText(state, runs.length === 0 ? "There is no run yet; seedstream run --target N begins one." : plural(runs.length, "run"));
    const cards = runs.map((each) => [each.run, card(each.run)]);
    byId("runs").append(...cards.map(([, each]) => each.row));
    await maySteer();
    for (const [run, each] of cards.slice(0, MOST_READ)) await read(run, each);
  } catch (error) {
    state.replaceChildren(complaint(error));
  }
}

function card(run) {
  const badge = h("span", { class: "badge", "data-state": "unknown" }, "…");
  const bar = h("progress", { max: "1", value: "0", "aria-label": "Finished tasks of the target" });
  const told = h("p", { class: "note" }, "reading …");
  const title = h("h2", {}, h("a", { href: pageOf(run) }, line(run, 120)));
  return { row: h("li", { class: "panel" }, h("div", { class: "title" }, title, badge), bar, told), badge, bar, told };
}

async function read(run, { badge, bar, told }) {
  try {
    const facts = await get(pathOf(run));
    const { name, word, more } = stateOf(facts);
    badge.dataset.state = name;
    setText(badge, word);
    bar.value = facts.target > 0 ? Math.min(1, facts.finished / facts.target) : 0;
    setText(told, `${count(facts.finished)} of ${plural(facts.target, "task")}${more ? ` · ${more}` : ""}`);
  } catch (error) {
    told.replaceChildren(complaint(error));
  }
}

begin();
