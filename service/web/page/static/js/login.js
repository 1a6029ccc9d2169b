// The page that takes a token.

import { byId, fill } from "./dom.js";
import { complaint, write } from "./api.js";

/** Return where to go afterwards: a path of this site, whatever the address says. */
function next() {
  const asked = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.origin);
  return asked.origin === location.origin ? asked.pathname + asked.search : "/";
}

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = byId("token");
  try {
    await write("POST", "/login", { token: token.value.trim() });
    location.assign(next());
  } catch (error) {
    fill(byId("outcome"), complaint(error));
    token.focus();
    token.select();
  }
});
