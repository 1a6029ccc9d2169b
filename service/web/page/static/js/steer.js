// Steering a run: its target, its limits, pause and resume. Only changed fields are sent.

import { byId, fill, h, setText } from "./dom.js";
import { complaint, get, pathOf, write } from "./api.js";

const FIELDS = [
  ["target", "Target, in finished tasks", "1", false],
  ["budget_usd", "Budget in dollars", "any", true],
  ["max_marginal_cost_usd", "Most dollars a task may cost", "any", true],
  ["max_prompts", "Most prompts", "1", true],
  ["rpm", "Calls a minute", "any", true],
  ["tpm", "Tokens a minute", "any", true],
  ["max_in_flight", "Calls at once", "1", true],
];

export class Steer {
  constructor(run) {
    this.path = pathOf(run, "goal");
    this.form = byId("goal");
    this.outcome = byId("goal-outcome");
    this.pause = byId("pause");
    this.goal = {};
    this.isTouched = false;
    this.form.addEventListener("input", () => (this.isTouched = true));
    this.form.append(...FIELDS.map(field), h("div", { class: "wide" }, h("button", { type: "submit", class: "main-action" }, "Save")));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    this.pause.addEventListener("click", () => this.change({ paused: !this.goal.paused }));
    byId("steer").addEventListener("toggle", () => byId("steer").open && this.read());
  }

  async begin() {
    byId("steer").hidden = false;
    if (this.facts !== undefined) this.follow(this.facts);
    await this.read();
  }

  /** Follow what others change: a pause, and the end of the run. */
  follow(facts) {
    this.facts = facts;
    this.goal.paused = facts.paused;
    this.pause.hidden = byId("steer").hidden || facts.recipe === null || facts.ending !== null;
    setText(this.pause, facts.paused ? "Resume the run" : "Pause the run");
  }

  async read() {
    try {
      const goal = await get(this.path);
      // Somebody may have begun to type meanwhile.
      if (!this.isTouched) this.take(goal);
    } catch (error) {
      fill(this.outcome, complaint(error));
    }
  }

  take(goal) {
    this.goal = goal;
    this.isTouched = false;
    for (const [name] of FIELDS) this.form.elements.namedItem(name).value = goal[name] ?? "";
  }

  save() {
    const changes = {};
    for (const [name, label, step, mayBeEmpty] of FIELDS) {
      const text = this.form.elements.namedItem(name).value.trim();
      const value = text === "" ? null : Number(text);
      const isWrong = value === null ? !mayBeEmpty : !(value >= 0) || !Number.isFinite(value) || (step === "1" && !Number.isInteger(value));
      if (isWrong) {
        fill(this.outcome, h("p", { class: "complaint", role: "alert" }, `“${label}” needs a ${step === "1" ? "whole " : ""}number of at least 0.`));
        this.form.elements.namedItem(name).focus();
        return;
      }
      if (value !== (this.goal[name] ?? null)) changes[name] = value;
    }
    this.change(changes);
  }

  async change(changes) {
    if (Object.keys(changes).length === 0) {
      fill(this.outcome, h("p", { class: "note" }, "Nothing has changed."));
      return;
    }
    const buttons = [this.pause, this.form.querySelector("button")];
    for (const each of buttons) each.disabled = true;
    try {
      const goal = await write("PATCH", this.path, changes);
      if ("paused" in changes && this.isTouched) this.goal = goal;
      else this.take(goal);
      fill(this.outcome, h("p", { class: "note" }, "Saved."));
    } catch (error) {
      byId("steer").open = true;
      fill(this.outcome, complaint(error));
    }
    for (const each of buttons) each.disabled = false;
  }
}

function field([name, label, step, mayBeEmpty]) {
  const id = `goal-${name}`;
  const input = h("input", { id, name, type: "number", min: "0", step, inputmode: "decimal", placeholder: mayBeEmpty ? "no limit" : null });
  return h("div", {}, h("label", { for: id }, label), input);
}
