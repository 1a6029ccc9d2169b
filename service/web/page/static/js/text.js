// Text of a model on the page. It is hostile: it stays text, cannot change the direction of its surroundings, shows
// the characters that a browser would hide or obey, and is shortened as long as nobody asks for all of it.

import { h } from "./dom.js";

// Controls but tab and line feed, format characters but the two joiners that scripts and emoji need, and lone surrogates.
const HIDDEN = /(?![\t\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u;
const HIDDEN_RUNS = new RegExp(`(?:${HIDDEN.source})+`, "gu");
const MOST_MARKS = 500;
const CHUNK = 100_000;

/** Return a text of one line, at most `limit` characters long, with its hidden characters as plain marks. */
export function plain(text, limit = 200) {
  const cut = clipped(String(text), limit);
  return cut.text.replace(/[\t\n]+/g, " ").replace(HIDDEN_RUNS, nameOf) + (cut.isWhole ? "" : "…");
}

/** Return an element with a text of one line, isolated from its surroundings. */
export function line(text, limit = 200) {
  const cut = clipped(String(text), limit);
  return h("bdi", { class: "line" }, marked(cut.text.replace(/[\t\n]+/g, " ")), cut.isWhole ? null : "…");
}

/** Return an element with a text of many lines; a button shows the rest of a long one, a part at a time. */
export function block(text, limit = 4_000, ranges = []) {
  const whole = String(text);
  const box = h("div", { class: "text" });
  show(box, whole, 0, limit, unitsOf(whole, ranges));
  return box;
}

function show(box, whole, start, limit, ranges) {
  const cut = clipped(whole.slice(start), limit);
  const end = start + cut.text.length;
  box.append(...segments(whole, start, end, ranges));
  if (end >= whole.length) return;
  const left = whole.length - end;
  const what = left > CHUNK ? `Show ${CHUNK.toLocaleString("en")} more characters` : "Show all";
  const button = h("button", { type: "button", class: "quiet more" }, `${what} (${left.toLocaleString("en")} are hidden)`);
  button.addEventListener("click", () => {
    button.remove();
    show(box, whole, end, CHUNK, ranges);
    box.tabIndex = -1;
    box.focus({ preventScroll: true });
  });
  box.append(button);
}

/** Return the pieces of a part of a text, with the ranges in it inside `<mark>`. */
function* segments(whole, start, end, ranges) {
  let at = start;
  for (const [from, to] of ranges) {
    if (to <= at || from >= end) continue;
    const first = Math.max(from, at);
    const last = Math.min(to, end);
    yield* marked(whole.slice(at, first));
    yield h("mark", {}, marked(whole.slice(first, last)));
    at = last;
  }
  yield* marked(whole.slice(at, end));
}

/** Return a text as nodes: runs of hidden characters become marks, as names in the text itself where there are many. */
function marked(text) {
  const found = [...text.matchAll(HIDDEN_RUNS)];
  if (found.length === 0) return text === "" ? [] : [text];
  if (found.length > MOST_MARKS) return [text.replace(HIDDEN_RUNS, nameOf)];
  const nodes = [];
  let at = 0;
  for (const { 0: run, index } of found) {
    if (index > at) nodes.push(text.slice(at, index));
    nodes.push(h("span", { class: "hidden-character" }, nameOf(run)));
    at = index + run.length;
  }
  if (at < text.length) nodes.push(text.slice(at));
  return nodes;
}

function nameOf(run) {
  const points = [...run];
  const code = points[0].codePointAt(0);
  const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return points.length === 1 ? name : `${name} and ${points.length - 1} more`;
}

/** Return the beginning of a text, without half a character at its end. */
function clipped(text, limit) {
  if (text.length <= limit) return { text, isWhole: true };
  const last = text.charCodeAt(limit - 1);
  return { text: text.slice(0, last >= 0xd800 && last < 0xdc00 ? limit - 1 : limit), isWhole: false };
}

/** Return ranges of code points, in order, as ranges of UTF-16 units. */
function unitsOf(text, ranges) {
  const units = [];
  let point = 0;
  let unit = 0;
  const upTo = (wanted) => {
    while (point < wanted && unit < text.length) {
      unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
      point += 1;
    }
    return unit;
  };
  for (const [from, to] of ranges) units.push([upTo(from), upTo(to)]);
  return units;
}
