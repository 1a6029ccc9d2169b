// Rows of lists: tasks and verdicts.

import { h } from "./dom.js";
import { pageOf } from "./api.js";
import { clock, moment, score, words } from "./format.js";
import { line } from "./text.js";

/** Return the row of a finished task. */
export function taskRow(run, task, at, distance = undefined) {
  const [first] = task.instances;
  return h(
    "li",
    {},
    h("a", { href: pageOf(run, task.id) }, line(task.instruction, 280)),
    first?.input ? h("p", { class: "input" }, line(first.input, 160)) : null,
    first ? h("p", { class: "output" }, line(first.output, 200)) : null,
    h(
      "p",
      { class: "facts" },
      h("time", { datetime: at.toISOString(), title: moment(at) }, clock(at)),
      task.is_classification ? h("span", { class: "chip" }, "classification") : null,
      task.topic ? h("span", { class: "chip" }, line(task.topic, 40)) : null,
      distance === undefined ? null : h("span", {}, distance === null ? "far from the pool" : `distance ${distance.toFixed(2)}`),
    ),
  );
}

/** Return the row of a candidate and the verdict on it. */
export function verdictRow(run, verdict) {
  const at = verdict.decided_ms === null ? null : new Date(verdict.decided_ms);
  return h(
    "li",
    {},
    h("a", { href: pageOf(run, verdict.id) }, verdict.instruction ? line(verdict.instruction, 280) : verdict.id),
    verdict.nearest_instruction
      ? h("p", { class: "output" }, "like ", h("a", { href: pageOf(run, verdict.nearest) }, line(verdict.nearest_instruction, 200)))
      : null,
    h(
      "p",
      { class: "facts" },
      at && h("time", { datetime: at.toISOString(), title: moment(at) }, clock(at)),
      h("span", { class: "chip" }, words(verdict.reason ?? "accepted")),
      verdict.score === null ? null : h("span", {}, `score ${score(verdict.score)}`),
    ),
  );
}
