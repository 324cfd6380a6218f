// Was the answer right? Up or down, with a comment if there is one to make; it can be changed at any time.

import { button, element, icon, problem, say } from "./element.js";
import { send, sentenceFor } from "./server.js";

const ASKED = { up: "What was good about it?", down: "What should it have said?" };

export function feedbackOn(traceId, given) {
  let rating = given?.rating ?? null;
  let comment = given?.comment ?? "";
  const up = thumb("up", "A good answer");
  const down = thumb("down", "Not a good answer");
  const rest = element("div", { class: "feedback-rest" });
  const all = element("div", { class: "feedback", role: "group", "aria-label": "Rate this answer" }, up, down, rest);
  show();
  return all;

  function thumb(name, label) {
    return button(icon(`thumb-${name}`), () => rate(name), { class: "tool", "aria-label": label, title: label });
  }

  async function rate(name) {
    if (await give(name, name === rating ? comment : "")) name === "down" ? askForComment() : show();
  }

  async function give(newRating, newComment) {
    try {
      await send("/v1/feedback", { method: "POST", json: { trace_id: traceId, rating: newRating, ...(newComment && { comment: newComment }) } });
    } catch (error) {
      rest.querySelector(".error")?.remove();
      rest.append(problem(sentenceFor(error)));
      return false;
    }
    [rating, comment] = [newRating, newComment];
    say("Thank you, noted.");
    return true;
  }

  function show() {
    up.setAttribute("aria-pressed", rating === "up");
    down.setAttribute("aria-pressed", rating === "down");
    const parts = comment ? [element("span", { class: "comment-given" }, `“${comment}”`)] : rating ? ["Noted."] : [];
    if (rating) parts.push(button(comment ? "Change" : "Add a comment", askForComment, { class: "link" }));
    rest.replaceChildren(...parts);
  }

  function askForComment() {
    show();
    const box = element("textarea", { rows: "2", maxlength: "2000", "aria-label": ASKED[rating], placeholder: ASKED[rating] });
    box.value = comment;
    const keep = async () => {
      if (box.value.trim() === comment || (await give(rating, box.value.trim()))) leave();
    };
    const leave = () => {
      show();
      (rating === "up" ? up : down).focus();
    };
    box.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Escape") leave();
      if (event.key === "Enter" && !event.shiftKey) keep();
      else if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
    });
    const buttons = element("p", {}, button("Send", keep, { class: "send small" }), button("No comment", leave, { class: "link" }));
    rest.replaceChildren(box, buttons);
    box.focus({ preventScroll: true });
    rest.scrollIntoView({ block: "nearest" });
  }
}
