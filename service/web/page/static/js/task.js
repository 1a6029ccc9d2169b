// The page of a task, candidate, seed or prompt: its whole story.

import { byId, fill, h, setText } from "./dom.js";
import { complaint, get, namesHere, pageOf, pathOf } from "./api.js";
import { count, dollars, isKnown, moment, score, words } from "./format.js";
import { familyOf } from "./family.js";
import { head } from "./seeds.js";
import { maySteer } from "./session.js";
import { block, line, plain } from "./text.js";

const { run, id } = namesHere();
const KINDS = { seed: "Seed task", open: "Prompt", decided: "Prompt", rejected: "Rejected candidate", accepted: "Accepted instruction", dropped: "Dropped instruction", finished: "Task" };

async function begin() {
  const link = byId("run-link");
  link.href = pageOf(run);
  fill(link, line(run, 60));
  try {
    const story = await get(pathOf(run, "tasks", id));
    tell(story);
  } catch (error) {
    fill(byId("state"), complaint(error));
  }
  await maySteer();
}

function tell(story) {
  const title = `${KINDS[story.state] ?? words(story.state)} ${plain(story.id, 60)}`;
  document.title = `${title} · Seedstream`;
  setText(byId("title"), title);
  setText(byId("state"), verdictOf(story));
  fill(
    byId("story"),
    instructionOf(story),
    nearestOf(story),
    familyOf(run, story),
    siblingsOf(story),
    textOf("Prompt", "Shown to the model", story.system, story.prompt),
    textOf("Completion", "The model's reply, as it came", null, story.completion),
    callsOf(story),
    provenanceOf(story),
  );
}

function verdictOf({ state, reason, dropped, failure, finished_ms: at }) {
  if (state === "rejected") return `Rejected: ${words(reason)}.`;
  if (state === "dropped") return `Accepted, and dropped: ${words(dropped ?? failure ?? "no usable instance")}.`;
  if (state === "finished") return isKnown(at) ? `Finished ${moment(new Date(at))}.` : "Finished.";
  if (state === "accepted") return "Accepted; not finished yet.";
  return state === "seed" ? "Written by a person." : failure ? `The call failed: ${plain(failure, 300)}` : "";
}

function instructionOf(story) {
  if (story.instruction === null) return null;
  const kind = { true: "classification", false: "not classification", null: "not asked" }[story.is_classification];
  const chips = [kind, story.topic && line(story.topic, 60), story.depth > 0 ? `generation ${story.depth}` : null];
  return section(
    "Instruction",
    h("div", { class: "lead" }, block(story.instruction)),
    h("p", { class: "facts" }, chips.filter((each) => each).map((each) => h("span", { class: "chip" }, each))),
    story.instances.length > 0 ? h("h3", {}, story.instances.length === 1 ? "Instance" : `${count(story.instances.length)} instances`) : null,
    story.instances.map(({ input, output }) => h("dl", { class: "instance" },
      input === "" ? null : [h("dt", {}, "Input"), h("dd", {}, block(input))], h("dt", {}, "Output"), h("dd", {}, block(output)))),
  );
}

function nearestOf({ instruction, nearest, nearest_in_meaning: meaning }) {
  if (nearest === null && meaning === null) return null;
  const link = (found) => h("a", { href: pageOf(run, found.id) }, plain(found.id, 60));
  const words_ = nearest && h("div", { class: "side-by-side" },
    h("div", {}, h("h3", {}, "This one"), block(instruction ?? "", 4_000, nearest.own)),
    h("div", {}, h("h3", {}, "The nearest: ", link(nearest)), block(nearest.instruction ?? "", 4_000, nearest.nearest)));
  return section(
    "Nearest task",
    nearest && h("p", { class: "note" }, `ROUGE-L ${score(nearest.score)}. The words in common are marked.`),
    words_,
    meaning && h("p", {}, `Nearest in meaning (${score(meaning.score)} by ${plain(meaning.model, 60)}): `, link(meaning), " ", line(meaning.instruction ?? "", 300)),
  );
}

function siblingsOf({ siblings }) {
  if (siblings.length === 0) return null;
  const row = (each) => h("tr", { class: each.id === id ? "here" : null },
    h("th", { scope: "row" }, h("a", { href: pageOf(run, each.id), "aria-current": each.id === id ? "page" : null }, each.instruction === null ? plain(each.id, 60) : line(each.instruction, 200))),
    h("td", {}, each.decided_ms === null ? "open" : each.reason === null ? "accepted" : words(each.reason)),
    h("td", {}, each.nearest === null ? "" : h("a", { href: pageOf(run, each.nearest) }, line(each.nearest_instruction ?? each.nearest, 80))),
    h("td", { class: "number" }, score(each.score)));
  const table = h("table", {}, h("thead", {}, h("tr", {}, ["Candidate", "Verdict", "Nearest"].map((each) => h("th", { scope: "col" }, each)), h("th", { scope: "col", class: "number" }, "Score"))), h("tbody", {}, siblings.map(row)));
  return section("Candidates of the same prompt", scroll("Candidates of the same prompt", table));
}

function textOf(title, about, system, text) {
  if (text === null) return null;
  return section(
    title,
    h("p", { class: "note" }, `${about}; ${count(text.length)} characters.`),
    system === null ? null : h("details", {}, h("summary", {}, "System message"), paper("System message", system)),
    paper(title, text),
  );
}

function callsOf({ calls, failed_calls: failed, cost_usd: cost }) {
  const rows = [
    ...Object.entries(calls).map(([stage, call]) => [stage, call, words(call.finish_reason)]),
    ...Object.entries(failed).map(([stage, call]) => [stage, { ...call, usage: call.wasted }, "failed"]),
  ];
  if (rows.length === 0) return null;
  const row = ([stage, call, end]) => h("tr", {}, h("th", { scope: "row" }, words(stage)), h("td", {}, line(call.model ?? "", 60)), h("td", {}, end),
    [count(call.attempts), count(call.usage?.prompt_tokens), count(call.usage?.completion_tokens), dollars(call.cost_usd)].map((each) => h("td", { class: "number" }, each)));
  const names = ["Stage", "Model", "End"].map((each) => h("th", { scope: "col" }, each));
  const figures = ["Attempts", "Tokens in", "Tokens out", "Cost"].map((each) => h("th", { scope: "col", class: "number" }, each));
  const total = isKnown(cost) ? `All together ${dollars(cost)}, with the whole completion of the prompt.` : "The cost of a call is unknown.";
  return section("Calls", h("p", { class: "note" }, total), scroll("Calls", h("table", {}, h("thead", {}, h("tr", {}, names, figures)), h("tbody", {}, rows.map(row)))));
}

function provenanceOf({ prompt_id: prompt, recipe, templates }) {
  const facts = [["Prompt", prompt], ["Recipe", recipe], ["Templates", templates]].filter(([, value]) => value);
  if (facts.length === 0) return null;
  return section("Origin", h("dl", { class: "figures small" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, line(value, 80))))));
}

function paper(name, text) {
  return h("div", { class: "paper", tabindex: "0", role: "region", "aria-label": `Text: ${name}` }, block(text));
}

function section(title, ...children) {
  return h("section", {}, h("h2", {}, title), children);
}

function scroll(name, table) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, table);
}

begin();
