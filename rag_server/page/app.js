// The page: asks, shows the answer as it is written, opens the lines that it cites.
// Whatever comes from a repository or a model reaches the document as text, never as markup.

import { element } from "./element.js";
import { readEvents } from "./events.js";
import { renderAnswer } from "./answer.js";
import { closeSource, openSource, placeFromHash } from "./source.js";

const EXAMPLES = ["Where does a request start?", "How are errors reported?", "Which settings are there?"];
const STATUS_EVERY_MS = 10_000;

const byId = (id) => document.getElementById(id);
const question = byId("question");
const answers = byId("answers");
const picker = byId("picker");
let underWay = null;

function chosenRepositories() {
  const boxes = [...document.querySelectorAll("#repositories input")];
  const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
  return chosen.length ? chosen : null;
}

async function showRepositories() {
  const list = byId("repositories");
  const { repositories } = await getJson("/v1/repositories");
  if (!repositories.length) {
    list.append(element("p", { class: "note" }, "Nothing is indexed yet. Run `cia index SOURCE`."));
    return;
  }
  for (const one of repositories) {
    const box = element("input", { type: "checkbox", value: one.name });
    box.addEventListener("change", labelPicker);
    const facts = `${one.commit.slice(0, 12)} · ${one.files} ${one.files === 1 ? "file" : "files"}`;
    list.append(element("label", {}, box, element("span", {}, one.name), element("small", {}, facts)));
  }
}

function labelPicker() {
  const chosen = chosenRepositories();
  byId("picker-label").textContent = chosen ? (chosen.length > 2 ? `${chosen.length} repositories` : chosen.join(", ")) : "All repositories";
}

async function showStatus() {
  const status = byId("status");
  try {
    const info = await getJson("/model/info");
    status.dataset.mode = info.mode;
    status.textContent = info.mode === "llm" ? info.model : "extractive, no model";
    status.title = info.detail;
  } catch {
    status.dataset.mode = "away";
    status.textContent = "server away";
  }
}

async function getJson(url) {
  const reply = await fetch(url);
  const document = await reply.json();
  if (!reply.ok) throw new Error(document.error?.message ?? `HTTP ${reply.status}`);
  return document;
}

async function ask(text) {
  underWay?.abort();
  const request = new AbortController();
  underWay = request;
  document.body.classList.add("asked");
  const body = element("div", { class: "answer-body", "aria-live": "polite" }, element("p", { class: "waiting" }, "Looking through the code"));
  const article = element("article", { class: "answer", "aria-busy": "true" }, element("h2", {}, text), body);
  answers.prepend(article);
  byId("send").textContent = "Stop";
  const state = { text: "", sources: [], answer: null, begun: performance.now() };
  try {
    const reply = await fetch("/v1/ask", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ question: text, repos: chosenRepositories(), stream: true }),
      signal: request.signal,
    });
    if (!reply.ok) throw new Error((await reply.json()).error?.message ?? `HTTP ${reply.status}`);
    for await (const { name, data } of readEvents(reply.body)) {
      if (name === "sources") Object.assign(state, { sources: data.sources, text: "" });
      if (name === "token") state.text += data.text;
      if (name === "answer") Object.assign(state, { answer: data, seconds: (performance.now() - state.begun) / 1000 });
      if (name === "error") throw new Error(data.error.message);
      renderAnswer(body, state);
    }
  } catch (error) {
    const stopped = error.name === "AbortError";
    const sentence = error instanceof TypeError ? "The server does not answer. Is it still running?" : error.message;
    if (stopped && !state.text) body.replaceChildren();
    body.append(element("p", { class: stopped ? "note" : "error", role: "alert" }, stopped ? "Stopped." : sentence));
  } finally {
    article.removeAttribute("aria-busy");
    if (underWay === request) {
      underWay = null;
      byId("send").textContent = "Ask";
    }
  }
}

function submit() {
  const text = question.value.trim();
  if (!text) return question.focus();
  question.value = "";
  fitQuestion();
  picker.open = false;
  ask(text);
}

function fitQuestion() {
  question.style.height = "auto";
  question.style.height = `${Math.min(question.scrollHeight, 200)}px`;
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (underWay && !question.value.trim()) underWay.abort();
  else submit();
});
question.addEventListener("input", fitQuestion);
question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("textarea, input:not([type=checkbox])");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    question.focus();
  }
  if (event.key === "Escape") {
    if (picker.open) picker.open = false;
    else if (!byId("source").hidden) closeSource();
    else underWay?.abort();
  }
});
document.addEventListener("click", (event) => {
  if (!picker.contains(event.target)) picker.open = false;
});
byId("source-close").addEventListener("click", closeSource);
window.addEventListener("hashchange", followHash);

function followHash() {
  const place = placeFromHash(location.hash);
  if (place) openSource(place);
  else closeSource();
}

for (const example of EXAMPLES) {
  const button = element("button", { type: "button" }, example);
  button.addEventListener("click", () => ask(example));
  byId("examples").append(button);
}
showRepositories().catch((error) => byId("repositories").append(element("p", { class: "error" }, error.message)));
showStatus();
setInterval(showStatus, STATUS_EVERY_MS);
followHash();
