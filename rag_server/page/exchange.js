// One question and what became of it, as an article in the thread.

import { renderAnswer } from "./answer.js";
import { button, element, problem } from "./element.js";
import { feedbackOn } from "./feedback.js";

export class Exchange {
  constructor(question) {
    this.state = { text: "", sources: [], answer: null, seconds: undefined };
    this.understood = element("p", { class: "understood", hidden: "" });
    this.body = element("div", { class: "answer-body", "aria-live": "polite", "aria-busy": "true" });
    this.foot = element("div", { class: "answer-foot" });
    this.article = element("article", { class: "answer" }, element("h2", {}, question), this.understood, this.body, this.foot);
    this.question = question;
    this.frame = 0;
    this.render();
  }

  // Pieces may come faster than they can be painted: one rendering a frame is enough.
  update(change) {
    Object.assign(this.state, change);
    this.frame ||= requestAnimationFrame(() => this.render());
  }

  finish(answer, seconds, given = null) {
    Object.assign(this.state, { answer, seconds });
    this.render();
    const understood = answer.resolved_question;
    if (understood && understood.trim() !== this.question.trim()) {
      this.understood.textContent = `understood as: ${understood}`;
      this.understood.hidden = false;
    }
    if (answer.trace_id) this.foot.append(feedbackOn(answer.trace_id, given));
    this.body.setAttribute("aria-busy", "false");
  }

  stop() {
    this.end(element("p", { class: "note" }, "Stopped."));
  }

  fail(sentence, again) {
    this.end(problem(sentence), button("Ask again", again, { class: "link again" }));
  }

  end(...parts) {
    this.render();
    this.body.querySelector(".waiting")?.remove();
    this.body.setAttribute("aria-busy", "false");
    this.foot.replaceChildren(...parts);
  }

  render() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    renderAnswer(this.body, this.state);
  }
}
