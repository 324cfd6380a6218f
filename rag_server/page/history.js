// The conversations of this user, newest first, beside the thread; on a narrow window in a drawer.

import { button, byId, element, icon, problem, say } from "./element.js";
import { closePicker } from "./repositories.js";
import { getJson, send, sentenceFor } from "./server.js";

const panel = byId("history");
const list = byId("history-list");
const main = byId("main");
const toggle = byId("history-toggle");
let on = { open() {}, began() {}, current: () => null };

export function startHistory(handlers) {
  on = handlers;
  toggle.addEventListener("click", toggleHistory);
  byId("scrim").addEventListener("click", closeDrawer);
  new ResizeObserver(() => toggle.setAttribute("aria-expanded", isShown())).observe(panel);
}

export async function showHistory() {
  try {
    const { conversations } = await getJson("/v1/conversations");
    const focused = document.activeElement.closest(".history-item")?.dataset.conversation;
    list.replaceChildren(...conversations.map(item));
    if (focused) list.querySelector(`[data-conversation="${CSS.escape(focused)}"] button`)?.focus({ preventScroll: true });
    if (!conversations.length) list.append(element("p", { class: "note" }, "What you ask is kept here until you delete it."));
    byId("delete-all").replaceChildren(...(conversations.length > 1 ? [deleteAll()] : []));
  } catch (error) {
    list.replaceChildren(problem(sentenceFor(error)));
  }
}

export function clearHistory() {
  list.replaceChildren();
  byId("delete-all").replaceChildren();
}

export function toggleHistory() {
  if (isShown()) {
    if (!closeDrawer()) document.body.classList.remove("rail");
  } else if (matchMedia("(max-width: 1100px)").matches || document.body.classList.contains("reading")) openDrawer();
  else document.body.classList.add("rail");
}

export function closeDrawer() {
  const wasOpen = document.body.classList.contains("drawer");
  document.body.classList.remove("drawer");
  main.inert = false;
  if (wasOpen) toggle.focus({ preventScroll: true });
  return wasOpen;
}

function openDrawer() {
  closePicker();
  document.body.classList.add("drawer");
  main.inert = true;
  byId("new").focus({ preventScroll: true });
}

function isShown() {
  return getComputedStyle(panel).display !== "none";
}

function item(one) {
  const opener = button("", () => open(one.id), { class: "conversation", ...(one.id === on.current() && { "aria-current": "true" }) });
  opener.append(element("span", { class: "title" }, one.title || "Untitled"), element("small", { title: one.updated }, ago(one.updated)));
  const row = element("div", { class: "history-item", "data-conversation": one.id }, opener);
  const remove = button(icon("delete"), () => confirm(row, "Delete this conversation?", () => removeOne(one.id)), {
    class: "tool", "aria-label": `Delete “${one.title}”`, title: "Delete",
  });
  row.append(remove);
  return row;
}

function deleteAll() {
  const row = element("div", { class: "history-item" });
  row.append(button("Delete all conversations", () => confirm(row, "Delete all of them?", removeAll), { class: "link" }));
  return row;
}

// Asks in the row itself; "Keep" has the focus, so that Enter does no harm.
function confirm(row, question, action) {
  const before = [...row.childNodes];
  const keep = button("Keep", () => back(), { class: "link" });
  const back = () => {
    row.replaceChildren(...before);
    row.querySelector("button:last-child").focus();
  };
  const act = button("Delete", () => action().catch((error) => row.replaceChildren(...before, problem(sentenceFor(error)))), { class: "link wrong" });
  row.replaceChildren(element("span", { class: "title" }, question), act, keep);
  row.onkeydown = (event) => {
    if (event.key !== "Escape" || row.contains(before[0])) return;
    event.stopPropagation();
    back();
  };
  keep.focus();
}

async function removeOne(id) {
  await send(`/v1/conversations/${encodeURIComponent(id)}`, { method: "DELETE" });
  await removed(id === on.current(), "Conversation deleted.");
}

async function removeAll() {
  await send("/v1/conversations", { method: "DELETE" });
  await removed(true, "All conversations deleted.");
}

async function removed(current, sentence) {
  if (current) on.began();
  await showHistory();
  say(sentence);
  (list.querySelector(".conversation") ?? byId("new")).focus();
}

async function open(id) {
  closeDrawer();
  await on.open(id).catch((error) => list.prepend(problem(sentenceFor(error))));
}

function ago(time) {
  const minutes = Math.round((Date.now() - new Date(time)) / 60_000);
  if (!(minutes >= 1)) return "now";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return `${Math.round(minutes / 60)} h`;
  return new Date(time).toLocaleDateString([], { day: "numeric", month: "short" });
}
