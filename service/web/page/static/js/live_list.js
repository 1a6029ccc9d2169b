// The tasks of a run as they happen. Arrivals are collected and drawn together, a few times a second at most, and the
// list keeps the last two hundred. While somebody points at it, moves in it or has paused it, arrivals wait.

import { byId, h, setText } from "./dom.js";
import { complaint, get, pathOf } from "./api.js";
import { count, plural } from "./format.js";
import { taskRow } from "./rows.js";
import { Stream } from "./stream.js";

const MOST_ROWS = 200;
const FIRST_ROWS = 50;
const DRAW_EVERY_MS = 250;
const ANNOUNCE_EVERY_MS = 30_000;
const RETRY_MS = 3_000;

export class LiveList {
  constructor(run) {
    this.run = run;
    this.list = byId("list");
    this.waiting = byId("list-waiting");
    this.position = null;
    this.arrived = [];
    this.skipped = 0;
    this.announced = 0;
    this.isPaused = false;
    this.isHeld = false;
    this.drawnAt = 0;
    this.isDue = false;
    this.listen();
  }

  async follow() {
    await this.fill();
    const stream = new Stream(
      () => ({ path: this.path(), accept: "application/x-ndjson" }),
      (line) => this.take(line),
      (state, error) => this.tell(state, error),
    );
    setInterval(() => this.announce(), ANNOUNCE_EVERY_MS);
    await stream.run();
  }

  /** Show the last tasks that there are; the stream begins behind them. */
  async fill() {
    for (;;) {
      try {
        const page = await get(pathOf(this.run, "tasks"), { order: "newest", limit: FIRST_ROWS });
        this.list.append(...page.tasks.map((each) => taskRow(this.run, each.task, new Date(each.finished_at))));
        this.position = page.tasks.length > 0 ? page.tasks[0].id : null;
        return;
      } catch (error) {
        this.tell("waiting", error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  path() {
    const from = this.position === null ? "from=beginning" : `after=${encodeURIComponent(this.position)}`;
    return `${pathOf(this.run, "tasks")}?${from}`;
  }

  take(line) {
    if (line === "") return;
    const { id, task } = JSON.parse(line);
    if (id !== undefined) this.position = id;
    if (task === undefined) return;
    this.arrived.push({ task, at: new Date() });
    if (this.arrived.length > MOST_ROWS) {
      this.arrived.shift();
      this.skipped += 1;
    }
    this.announced += 1;
    this.drawSoon();
  }

  drawSoon() {
    if (this.isDue) return;
    this.isDue = true;
    const left = Math.max(0, this.drawnAt + DRAW_EVERY_MS - performance.now());
    setTimeout(() => requestAnimationFrame(() => this.draw()), left);
  }

  draw() {
    this.isDue = false;
    this.drawnAt = performance.now();
    const number = this.arrived.length + this.skipped;
    this.waiting.hidden = !(number > 0 && (this.isPaused || this.isHeld));
    if (!this.waiting.hidden) {
      setText(this.waiting, `Show ${plural(number, "new task")}`);
      return;
    }
    this.show();
  }

  show() {
    const rows = this.arrived.reverse().map(({ task, at }) => taskRow(this.run, task, at));
    this.arrived = [];
    this.skipped = 0;
    this.list.prepend(...rows);
    while (this.list.childElementCount > MOST_ROWS) this.list.lastElementChild.remove();
    this.waiting.hidden = true;
  }

  tell(state, error) {
    const state_ = byId("list-state");
    if (state === "closed") state_.replaceChildren(complaint(error));
    else setText(state_, state === "open" ? `live; the last ${count(MOST_ROWS)} are shown` : "waiting for the service …");
    state_.dataset.state = state;
  }

  announce() {
    if (this.announced > 0) setText(byId("list-news"), `${plural(this.announced, "task")} finished in the last while.`);
    this.announced = 0;
  }

  listen() {
    const button = byId("pause-list");
    button.addEventListener("click", () => {
      this.isPaused = !this.isPaused;
      button.setAttribute("aria-pressed", String(this.isPaused));
      this.drawSoon();
    });
    this.waiting.addEventListener("click", () => {
      this.show();
      this.list.scrollTop = 0;
      this.list.querySelector("a")?.focus({ preventScroll: true });
    });
    const hold = (isHeld) => () => {
      this.isHeld = isHeld;
      this.drawSoon();
    };
    this.list.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && hold(true)());
    this.list.addEventListener("pointerleave", hold(false));
    this.list.addEventListener("focusin", hold(true));
    this.list.addEventListener("focusout", hold(false));
  }
}
