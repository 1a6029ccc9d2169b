// Who looks at the page, and what they may do.

import { byId } from "./dom.js";
import { get, write } from "./api.js";

const SCOPES = ["read", "steer", "admin"];

/** Return whether whoever looks may steer runs, and show the button to log out to those with a session. */
export async function maySteer() {
  const { scope, by_session: bySession } = await get("/v1/session");
  const logout = byId("logout");
  logout.hidden = !bySession;
  logout.addEventListener("click", async () => {
    await write("POST", "/logout", {});
    location.assign("/login");
  });
  return SCOPES.indexOf(scope) >= SCOPES.indexOf("steer");
}
