// A listing with pages: the newest request wins, and cursors of the pages before are kept to go back. An empty one is
// asked for again a few times, since the service may still be reading the run.

import { fill, h, setText } from "./dom.js";
import { complaint } from "./api.js";

const AGAIN_MS = [2_000, 4_000, 8_000, 16_000, 32_000];

export class Pages {
  /** `ask(cursor, signal)` returns `{rows, next, told}`; rows are elements. */
  constructor(list, pager, state, ask) {
    Object.assign(this, { list, pager, state, ask });
    this.cursors = [null];
    this.running = null;
    this.asked = 0;
  }

  /** Say that the rows shown are not the answer yet. */
  wait() {
    setText(this.state, "searching …");
    this.list.setAttribute("aria-busy", "true");
  }

  async first() {
    this.wait();
    this.cursors = [null];
    this.asked = 0;
    await this.load();
  }

  async load(focusOn = null) {
    this.running?.abort();
    clearTimeout(this.again);
    const running = (this.running = new AbortController());
    try {
      const page = await this.ask(this.cursors.at(-1), running.signal);
      if (running.signal.aborted) return;
      fill(this.list, page.rows);
      setText(this.state, page.told);
      this.drawPager(page.next);
      if (page.rows.length === 0 && this.asked < AGAIN_MS.length) this.again = setTimeout(() => this.load(), AGAIN_MS[this.asked++]);
      if (focusOn !== null) (this.pager.querySelector(`[data-to="${focusOn}"]`) ?? this.pager.querySelector("button"))?.focus();
    } catch (error) {
      if (!running.signal.aborted) fill(this.state, complaint(error));
    } finally {
      if (!running.signal.aborted) this.list.removeAttribute("aria-busy");
    }
  }

  drawPager(next) {
    const go = (name, text, move) => {
      const button = h("button", { type: "button", "data-to": name }, text);
      button.addEventListener("click", () => {
        move();
        this.load(name);
      });
      return button;
    };
    fill(
      this.pager,
      this.cursors.length > 1 ? go("back", "Back", () => this.cursors.pop()) : null,
      this.cursors.length > 1 || next !== null ? h("span", { class: "note" }, `page ${this.cursors.length}`) : null,
      next !== null ? go("on", "Next", () => this.cursors.push(next)) : null,
    );
  }
}
