// Parents and descendants of a task: a drawing with a column for each generation, and a list of all of them.

import { h, s } from "./dom.js";
import { pageOf } from "./api.js";
import { plural } from "./format.js";
import { line, plain } from "./text.js";

const COLUMN = 216;
const ROW = 30;
const MOST_IN_COLUMN = 14;
const LABEL = 24;

/** Return the section about the family of a task. */
export function familyOf(run, story) {
  const { ancestors, descendants } = story;
  if (ancestors.edges.length === 0 && descendants.edges.length === 0) return null;
  const columns = columnsOf(story);
  const isWhole = ancestors.is_whole && descendants.is_whole;
  return h(
    "section",
    {},
    h("h2", {}, "Where it comes from, and what came of it"),
    h("p", { class: "note" }, "Tasks shown in its prompt, and in theirs, stand on its left; tasks whose prompt showed it on its right. Circles are seeds, squares are by the model."),
    window_(run, columns, [...ancestors.edges, ...descendants.edges]),
    isWhole ? null : h("p", { class: "note" }, "There are more than are shown."),
    h("details", {}, h("summary", {}, "List"), columns.map((column) => listOf(run, column))),
  );
}

/** Return the drawing in a window that begins at the task itself, where the screen is too narrow for all of it. */
function window_(run, columns, edges) {
  const box = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Drawing of the family" }, drawing(run, columns, edges));
  const at = columns.findIndex(({ step }) => step === 0) * COLUMN + COLUMN / 2;
  requestAnimationFrame(() => box.scrollTo(at - box.clientWidth / 2, (box.scrollHeight - box.clientHeight) / 2));
  return box;
}

/** Return the generations from the oldest to the youngest: `{step, nodes}`, where the task itself has step 0. */
function columnsOf({ id, instruction, origin, ancestors, descendants }) {
  const own = { id, instruction: instruction ?? "", origin: origin ?? "machine" };
  const before = generations(id, ancestors, (edge) => [edge.child, edge.parent]);
  const after = generations(id, descendants, (edge) => [edge.parent, edge.child]);
  return [
    ...before.reverse().map((nodes, at) => ({ step: at - before.length, nodes })),
    { step: 0, nodes: [own] },
    ...after.map((nodes, at) => ({ step: at + 1, nodes })),
  ];
}

/** Return the nodes of a graph by their least distance from a task, nearest first, without the task itself. */
function generations(id, { nodes, edges }, direct) {
  const next = new Map();
  for (const edge of edges) {
    const [from, to] = direct(edge);
    if (!next.has(from)) next.set(from, []);
    next.get(from).push(to);
  }
  const byName = new Map(nodes.map((each) => [each.id, each]));
  const seen = new Set([id]);
  const found = [];
  for (let front = [id]; front.length > 0; ) {
    front = [...new Set(front.flatMap((each) => next.get(each) ?? []))].filter((each) => byName.has(each) && !seen.has(each));
    for (const each of front) seen.add(each);
    if (front.length > 0) found.push(front.map((each) => byName.get(each)));
  }
  return found;
}

function drawing(run, columns, edges) {
  const shown = columns.map(({ step, nodes }) => ({ step, nodes: nodes.slice(0, MOST_IN_COLUMN), left: nodes.length - MOST_IN_COLUMN }));
  const rows = Math.max(...shown.map(({ nodes, left }) => nodes.length + (left > 0 ? 1 : 0)));
  const [width, height] = [columns.length * COLUMN, (rows + 1) * ROW];
  const places = new Map();
  const marks = shown.flatMap(({ step, nodes, left }, at) => {
    const x = at * COLUMN + 12;
    const top = (height - (nodes.length - 1) * ROW) / 2;
    const drawn = nodes.map((each, index) => {
      const y = top + index * ROW;
      places.set(each.id, [x, y]);
      return nodeOf(run, each, x, y, step === 0);
    });
    if (left > 0) drawn.push(s("text", { x, y: top + nodes.length * ROW + 4, class: "more-nodes" }, `and ${left} more`));
    return drawn;
  });
  const curves = edges.map(({ parent, child }) => curve(places.get(parent), places.get(child)));
  return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "family", role: "group", "aria-label": "Family of the task" }, curves, marks);
}

function nodeOf(run, { id, origin, instruction }, x, y, isHere) {
  const shape = origin === "human" ? s("circle", { cx: x, cy: y, r: 6 }) : s("rect", { x: x - 5, y: y - 5, width: 10, height: 10, rx: 2 });
  const label = s("text", { x: x + 13, y: y + 4 }, plain(instruction || id, LABEL));
  const title = s("title", {}, plain(instruction || id, 200));
  const body = s("g", { class: `node ${origin}${isHere ? " here" : ""}` }, title, shape, label);
  return isHere ? body : s("a", { href: pageOf(run, id), "aria-label": plain(instruction || id, 100) }, body);
}

/** Return the line from a parent to its child; none if one of them is not drawn. */
function curve(from, to) {
  if (from === undefined || to === undefined || from[0] >= to[0]) return null;
  const [[x, y], [toX, toY]] = [from, to];
  const bend = toX - 40;
  return s("path", { d: `M${x + 8} ${y}C${bend} ${y} ${bend} ${toY} ${toX - 8} ${toY}`, class: "edge" });
}

function listOf(run, { step, nodes }) {
  if (step === 0) return null;
  const generation = Math.abs(step) === 1 ? (step < 0 ? "Shown in its prompt" : "Its prompt showed this task") : `${plural(Math.abs(step), "generation")} ${step < 0 ? "before" : "after"}`;
  return [h("h3", {}, generation), h("ul", { class: "plain-list" }, nodes.map((each) => h("li", {}, h("a", { href: pageOf(run, each.id) }, line(each.instruction || each.id, 200)))))];
}
