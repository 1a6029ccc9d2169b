// A run at a glance: its state, how far it is, its pace, its cost, its stages and its model.

import { byId, fill, h, setText } from "./dom.js";
import { count, dollars, duration, isKnown, moment, NONE, plural, rate, share, short, words } from "./format.js";
import { line, plain } from "./text.js";

const STAGES = [
  ["producer", "prompts"],
  ["generate", "generate"],
  ["admit", "admit"],
  ["classify", "classify"],
  ["instances", "instances"],
  ["finish", "finish"],
];
const ALONE = ["producer", "admit", "finish"];
const ENDINGS = {
  target_reached: "the target is reached",
  stalled: "nothing more could be finished",
  prompts_exhausted: "the prompts are used up",
  budget_spent: "the budget is spent",
  too_expensive: "tasks have become too expensive",
  price_unknown: "the price of calls is unknown",
};

/** Return the state of a run, in a word for the style and one for people, and more about it. */
export function stateOf(facts) {
  const { ending, stalled } = facts;
  if (ending) return { name: "ended", word: "ended", more: endingOf(ending) };
  if (facts.paused) return { name: "paused", word: "paused", more: "No call begins. Calls on their way were finished." };
  if (facts.state === "undefined") return { name: "unknown", word: "no goal yet", more: `${facts.command} sets one.` };
  if (facts.state === "not_running") return { name: "idle", word: "not running", more: `${facts.command} works on it.` };
  if (stalled) return { name: "stalled", word: "stalled", more: standstillOf(stalled) };
  return { name: "running", word: "running", more: "" };
}

function endingOf({ how, detail }) {
  const told = ENDINGS[how] ?? words(how);
  return detail && how !== "target_reached" ? `${told}: ${plain(detail, 300)}` : told;
}

function standstillOf({ seconds, waiting_for: waiting }) {
  const roles = Object.entries(waiting ?? {}).map(([role, number]) => `${role}: ${count(number)}`);
  return `Nothing has moved for ${duration(seconds)}. Records wait for ${roles.join(", ")}.`;
}

export class Glance {
  constructor(name) {
    this.name = name;
    fill(byId("run-name"), line(name, 120));
    this.stages = new Map(STAGES.map(([role, label]) => [role, stage(label)]));
    byId("stages").append(...[...this.stages.values()].map((each) => each.row));
  }

  show(facts) {
    this.showState(stateOf(facts));
    this.showProgress(facts);
    this.showFigures(facts);
    this.showStages(facts);
    showModels(facts.model);
    setText(byId("as-of"), facts.as_of ? `As of ${moment(new Date(facts.as_of))}` : "");
  }

  showState({ name, word, more }) {
    const badge = byId("state");
    badge.dataset.state = name;
    setText(badge, word);
    byId("detail").hidden = more === "";
    setText(byId("detail"), more);
  }

  showProgress({ finished, target }) {
    setText(byId("finished"), count(finished));
    setText(byId("of-target"), target > 0 ? `of ${count(target)} tasks` : "tasks");
    const part = target > 0 ? Math.min(1, finished / target) : 0;
    byId("progress").value = part;
    document.title = `${target > 0 ? `${Math.floor(part * 100)}% · ` : ""}${plain(this.name, 60)} · Seedstream`;
  }

  showFigures(facts) {
    const { pace, candidates, pool } = facts;
    const isOver = facts.ending !== null || facts.paused;
    setText(byId("pace"), isOver ? NONE : rate(pace?.per_minute));
    setText(byId("left"), isOver ? NONE : duration(pace?.left_s));
    const spent = facts.cost_usd ?? facts.known_cost_usd;
    const budget = isKnown(facts.budget_usd) ? ` of ${dollars(facts.budget_usd)}` : "";
    setText(byId("spent"), isKnown(spent) ? `${facts.cost_usd === null ? "over " : ""}${dollars(spent)}${budget}` : NONE);
    setText(byId("task-cost"), dollars(facts.per_finished_usd));
    setText(byId("accepted"), candidates.judged > 0 ? share(candidates.acceptance) : NONE);
    setText(byId("pool"), short(pool.size));
  }

  showStages({ lag, at_work: staff }) {
    const everybody = inOneProcess(staff);
    for (const [role, { row, waiting, workers }] of this.stages) {
      const members = staff[role] ?? everybody;
      const number = lag[role] ?? 0;
      setText(waiting, role === "producer" ? "" : `${short(number)} waiting`);
      setText(workers, workersOf(members));
      row.dataset.busy = number > 0 ? "yes" : "no";
      row.dataset.staffed = members?.active?.length > 0 ? "yes" : "no";
    }
  }
}

function stage(label) {
  const waiting = h("span", { class: "waits" });
  const workers = h("span", { class: "workers" });
  return { row: h("li", {}, h("strong", {}, label), waiting, workers), waiting, workers };
}

/** Return the process that does everything, if one does: its single stages have no group, and are not listed. */
function inOneProcess(staff) {
  return ALONE.some((role) => role in staff) ? undefined : Object.values(staff)[0];
}

function workersOf(members) {
  const active = members?.active?.length ?? 0;
  const standby = members?.standing_by?.length ?? 0;
  if (active === 0) return "nobody at work";
  return plural(active, "process", "processes") + (standby > 0 ? `, ${standby} standing by` : "");
}

/** Show the calls of the service's own process to its models; a process that works on no run knows of none. */
function showModels(models) {
  fill(byId("models-now"), (models ?? []).map((model) => h("div", {}, h("dt", {}, line(model.name, 60)), h("dd", {}, callsOf(model)))));
}

function callsOf({ limit, in_flight: calls, waiting, health }) {
  const queue = waiting > 0 ? `, ${short(waiting)} waiting` : "";
  return `${plural(calls, "call")} of ${short(limit)} at once${queue}; ${plain(health, 200)}`;
}
