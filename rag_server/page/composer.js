// Where a question is typed.

import { byId } from "./element.js";

const TALLEST_PX = 200;
const question = byId("question");

// `asked` gets a question; `stopped` runs when the button is pressed while an answer is being written and nothing is typed.
export function startComposer({ asked, stopped, isAsking }) {
  const submit = () => {
    const text = question.value.trim();
    if (!text) return question.focus();
    question.value = "";
    fit();
    asked(text);
  };
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (isAsking() && !question.value.trim()) stopped();
    else submit();
  });
  question.addEventListener("input", fit);
  question.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
}

export function focusComposer() {
  question.focus({ preventScroll: true });
}

export function showBusy(busy) {
  byId("send").textContent = busy ? "Stop" : "Ask";
}

// A question that could not be asked comes back, unless another has been begun meanwhile.
export function giveBack(text) {
  if (!question.value.trim()) question.value = text;
  fit();
}

export function clearComposer() {
  question.value = "";
  fit();
}

function fit() {
  question.style.height = "auto";
  question.style.height = `${Math.min(question.scrollHeight, TALLEST_PX)}px`;
}
