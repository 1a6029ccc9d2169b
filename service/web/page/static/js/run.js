// The page of a run.

import { byId, fill } from "./dom.js";
import { complaint, get, namesHere, pathOf, Problem } from "./api.js";
import { Charts } from "./charts.js";
import { Find, Verdicts } from "./find.js";
import { Glance } from "./glance.js";
import { LiveList } from "./live_list.js";
import { Seeds } from "./seeds.js";
import { maySteer } from "./session.js";
import { Steer } from "./steer.js";
import { eventsTo, Stream } from "./stream.js";

const RETRY_MS = 3_000;

const { run } = namesHere();
const glance = new Glance(run);
const steer = new Steer(run);
const find = new Find(run);
const verdicts = new Verdicts(run);
const seeds = new Seeds(run);

function show(facts) {
  glance.show(facts);
  steer.follow(facts);
  find.offerTopics((facts.topics ?? []).map((each) => each.topic));
  verdicts.offerReasons(Object.keys(facts.candidates.rejected));
}

function followProgress() {
  const stream = new Stream(
    () => ({ path: pathOf(run, "progress"), accept: "text/event-stream" }),
    eventsTo((event, data) => event === "progress" && show(JSON.parse(data))),
    (state, error) => {
      document.body.dataset.connection = state;
      if (state === "closed") tell(error);
    },
  );
  return stream.run();
}

function tell(error) {
  byId("detail").hidden = false;
  fill(byId("detail"), complaint(error));
}

/** Return the facts of the run as soon as its log is read; null if it cannot be. */
async function firstFacts() {
  for (;;) {
    try {
      return await get(pathOf(run));
    } catch (error) {
      tell(error);
      if (error instanceof Problem && error.status !== 503) return null;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function begin() {
  const facts = await firstFacts();
  if (facts === null) return;
  show(facts);
  followProgress();
  new LiveList(run).follow();
  new Charts(run);
  find.pages.first();
  verdicts.pages.first();
  seeds.pages.first();
  if (await maySteer()) {
    byId("add-seed").hidden = false;
    await steer.begin();
  }
}

begin();
