// Requests to the REST API. An answer that is no success becomes a Problem, with the command that mends it.

import { h } from "./dom.js";
import { plain } from "./text.js";

export class Problem extends Error {
  constructor(status, detail, command = null) {
    super(detail);
    this.status = status;
    this.command = command;
  }
}

/** Return the path of a run, of one of its tasks, or of a part of it; each part may hold any character. */
export function pathOf(run, ...parts) {
  return ["/v1/runs", run, ...parts].map((each, at) => (at === 0 ? each : encodeURIComponent(each))).join("/");
}

export function pageOf(run, id) {
  const path = `/runs/${encodeURIComponent(run)}`;
  return id === undefined ? path : `${path}/tasks/${encodeURIComponent(id)}`;
}

/** Return the names in the address of this page: of the run, and of the task if there is one. */
export function namesHere() {
  const [, , run, , id] = location.pathname.split("/");
  return { run: decodeURIComponent(run ?? ""), id: id === undefined ? undefined : decodeURIComponent(id) };
}

export async function get(path, query = {}, signal = undefined) {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== ""));
  const response = await send(search.size > 0 ? `${path}?${search}` : path, { signal, headers: { Accept: "application/json" } });
  return response.json();
}

export async function write(method, path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  const response = await send(path, { method, headers, body: JSON.stringify(body) });
  const text = await response.text();
  return text === "" ? null : JSON.parse(text);
}

/** Send a request; the answer is a success. Without a session, the page for the token takes over. */
export async function send(path, options = {}) {
  const response = await fetch(path, { ...options, credentials: "same-origin", cache: "no-store", redirect: "error" });
  if (response.ok) return response;
  if (response.status === 401 && location.pathname !== "/login") {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  throw await problemOf(response);
}

async function problemOf(response) {
  const fallback = `The service answered with status ${response.status}.`;
  try {
    const problem = await response.json();
    return new Problem(response.status, problem.detail ?? fallback, problem.command ?? null);
  } catch {
    return new Problem(response.status, fallback);
  }
}

/** Return an element that tells of an error. */
export function complaint(error) {
  const detail = error instanceof Problem ? error.message : "The service cannot be reached.";
  const command = error instanceof Problem ? error.command : null;
  return h("p", { class: "complaint", role: "alert" }, plain(detail, 600), command && h("code", { class: "command" }, plain(command, 600)));
}
