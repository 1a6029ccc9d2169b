// Streams by fetch: JSON Lines of tasks, and server-sent events of progress. A stream that ends or falls silent is
// opened again where it stopped. While nobody sees the page it is closed, since a browser has six connections a site.

import { Problem, send } from "./api.js";

const SILENT_MS = 45_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const SLICE_MS = 12;

/** How a stream is: `open`, `waiting` for the service to come back, or `closed` for good. */
export class Stream {
  /**
   * `request()` returns path and accepted type; `take(line)` is given each line; `tell(state, error)` each change.
   */
  constructor(request, take, tell) {
    this.request = request;
    this.take = take;
    this.tell = tell;
    this.waitMs = FIRST_WAIT_MS;
  }

  /** Read for as long as the page lives. */
  async run() {
    for (;;) {
      await whenVisible();
      try {
        await this.once();
        this.tell("waiting", null);
      } catch (error) {
        if (error instanceof Problem && [400, 401, 403, 404, 410].includes(error.status)) {
          this.tell("closed", error);
          return;
        }
        if (!document.hidden) this.tell("waiting", error);
      }
      await pause(this.waitMs * (0.5 + Math.random() / 2));
      this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS);
    }
  }

  async once() {
    const stop = new AbortController();
    const stopWhenHidden = () => document.hidden && stop.abort();
    document.addEventListener("visibilitychange", stopWhenHidden);
    let watch = setTimeout(() => stop.abort(), SILENT_MS);
    try {
      const { path, accept } = this.request();
      const response = await send(path, { signal: stop.signal, headers: { Accept: accept } });
      this.tell("open", null);
      await eachLine(response.body, this.take, () => {
        this.waitMs = FIRST_WAIT_MS;
        clearTimeout(watch);
        watch = setTimeout(() => stop.abort(), SILENT_MS);
      });
    } finally {
      clearTimeout(watch);
      stop.abort();
      document.removeEventListener("visibilitychange", stopWhenHidden);
    }
  }
}

/** Return a function for lines of server-sent events that calls `take(event, data)` for each event. */
export function eventsTo(take) {
  let event = "message";
  let data = [];
  return (line) => {
    if (line === "") {
      if (data.length > 0) take(event, data.join("\n"));
      event = "message";
      data = [];
    } else if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
  };
}

/** Give each line to `take`, and let the browser draw and listen in between. */
async function eachLine(body, take, onData) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let begun = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onData();
    const parts = value.split("\n");
    if (parts.length === 1) {
      begun.push(value);
      continue;
    }
    parts[0] = begun.join("") + parts[0];
    begun = [parts.pop()];
    let since = performance.now();
    for (const part of parts) {
      take(part.endsWith("\r") ? part.slice(0, -1) : part);
      if (performance.now() - since > SLICE_MS) {
        await pause(0);
        since = performance.now();
      }
    }
  }
}

function whenVisible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
  });
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
