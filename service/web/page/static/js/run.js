// The page of a run.

import { byId, fill } from "./dom.js";
import { complaint, get, namesHere, pathOf } from "./api.js";
import { Charts } from "./charts.js";
import { Find, Rejected } from "./find.js";
import { Glance } from "./glance.js";
import { LiveList } from "./live_list.js";
import { Seeds } from "./seeds.js";
import { maySteer } from "./session.js";
import { Steer } from "./steer.js";
import { eventsTo, Stream } from "./stream.js";

const { run } = namesHere();
const glance = new Glance(run);
const steer = new Steer(run);
const find = new Find(run);
const rejected = new Rejected(run);
const seeds = new Seeds(run);

function show(facts) {
  glance.show(facts);
  steer.follow(facts);
  find.offerTopics((facts.topics ?? []).map((each) => each.topic));
  rejected.offerReasons(Object.keys(facts.candidates.rejected));
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

async function begin() {
  try {
    show(await get(pathOf(run)));
  } catch (error) {
    tell(error);
    if (error.status === 404) return;
  }
  followProgress();
  new LiveList(run).follow();
  new Charts(run);
  find.pages.first();
  rejected.pages.first();
  seeds.pages.first();
  if (await maySteer()) {
    byId("add-seed").hidden = false;
    await steer.begin();
  }
}

begin();
