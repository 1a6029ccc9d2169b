// A listing with pages: the newest request wins, and cursors of the pages before are kept to go back.

import { fill, h, setText } from "./dom.js";
import { complaint } from "./api.js";

export class Pages {
  /** `ask(cursor, signal)` returns `{rows, next, told}`; rows are elements. */
  constructor(list, pager, state, ask) {
    Object.assign(this, { list, pager, state, ask });
    this.cursors = [null];
    this.running = null;
  }

  async first() {
    this.cursors = [null];
    await this.load();
  }

  async load(focusOn = null) {
    this.running?.abort();
    const running = (this.running = new AbortController());
    try {
      const page = await this.ask(this.cursors.at(-1), running.signal);
      if (running.signal.aborted) return;
      fill(this.list, page.rows);
      setText(this.state, page.told);
      this.drawPager(page.next);
      if (focusOn !== null) (this.pager.querySelector(`[data-to="${focusOn}"]`) ?? this.pager.querySelector("button"))?.focus();
    } catch (error) {
      if (!running.signal.aborted) fill(this.state, complaint(error));
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
