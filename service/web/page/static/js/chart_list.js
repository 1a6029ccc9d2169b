// The charts of a run: names of their specifications, what they show, and the columns of their tables.

import { count, dollars, moment, share, words } from "./format.js";
import { plain } from "./text.js";

const at = ["Time", ({ at_ms: ms }) => moment(new Date(ms))];
const bins = [
  ["From", ({ low }) => String(low)],
  ["Below", ({ high }) => String(high)],
  ["Instructions", (bin) => count(bin.count)],
];
const all = (values) => values;

export const CHARTS = [
  {
    name: "rejections",
    title: "Rejected candidates by reason",
    about: "All candidates rejected up to a time.",
    columns: [at, ["Reason", ({ reason }) => words(reason)], ["Rejected", ({ rejected }) => count(rejected)]],
    pick: (values) => values.map((each) => ({ ...each, reason: words(each.reason) })),
  },
  {
    name: "acceptance",
    title: "Acceptance",
    about: "The share of judged candidates that joined the pool.",
    columns: [at, ["Judged", ({ judged }) => count(judged)], ["Accepted", (each) => share(each.share, 1)]],
    pick: all,
  },
  {
    name: "pool",
    title: "Growth of the pool",
    about: "Tasks in the pool after a number of judged candidates.",
    columns: [["Judged", ({ judged }) => count(judged)], ["In the pool", ({ size }) => count(size)]],
    pick: all,
  },
  {
    name: "cost",
    title: "Cost",
    about: "Dollars spent by the time a number of tasks was finished.",
    columns: [["Finished", ({ finished }) => count(finished)], ["Spent", ({ cost_usd: usd }) => dollars(usd)]],
    pick: (values) => (values.some((each) => each.cost_usd > 0) ? values : []),
  },
  {
    name: "similarity",
    of: "diversity",
    title: "Similarity to the nearest seed",
    about: "ROUGE-L of each accepted instruction to the seed most like it. Further left is more diverse.",
    columns: bins,
    pick: (values) => binsOf(values, "seed_scores"),
  },
  {
    name: "lengths",
    of: "diversity",
    title: "Length of instructions",
    about: "In words.",
    columns: bins,
    pick: (values) => binsOf(values, "words"),
  },
  {
    name: "first_words",
    of: "diversity",
    title: "First words",
    about: "The words with which most instructions begin.",
    columns: [["Word", ({ word }) => word], ["Instructions", (each) => count(each.count)]],
    pick: (values) => (theOne(values)?.first_words ?? []).slice(0, 15).map((each) => ({ ...each, word: plain(each.word, 24) })),
  },
];

/** Return the one value of a chart whose values are a summary. */
function theOne(values) {
  return Array.isArray(values) ? values[0] : values;
}

/** Return the bins of a histogram; none while it is empty. */
function binsOf(values, name) {
  const found = theOne(values)?.[name] ?? [];
  return found.some((each) => each.count > 0) ? found : [];
}
