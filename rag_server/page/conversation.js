// The thread: questions that belong together, asked one after the other. The newest is at the bottom, by the composer.

import { byId } from "./element.js";
import { readEvents } from "./events.js";
import { Exchange } from "./exchange.js";
import { chosenRepositories } from "./repositories.js";
import { Refusal, getJson, send, sentenceFor } from "./server.js";

const FIRST = byId("question").placeholder;
const thread = byId("thread");
let current = null; // its id; null until its first question is answered
let underWay = null;
let on = { changed() {}, busy() {}, refused() {} };

// `changed` runs when a conversation was begun, opened or went on; `busy` when an answer begins and ends; `refused` gets a
// question back that could not be asked because the session has ended.
export function startConversation(handlers) {
  on = handlers;
  window.addEventListener("popstate", ({ state }) => {
    if (!state) remember(); // an address after #, followed for the first time
    else if (state.conversation === null) current !== null && newConversation(false);
    else if (state.conversation !== current) openConversation(state.conversation, false).catch(() => newConversation(false));
  });
}

export const currentConversation = () => current;
export const isAsking = () => underWay !== null;
export const stopAsking = () => underWay?.abort();

export async function ask(question) {
  stopAsking();
  const request = new AbortController();
  underWay = request;
  const exchange = append(new Exchange(question));
  const again = () => {
    exchange.article.remove();
    ask(question);
  };
  on.busy(true);
  const begun = performance.now();
  try {
    const json = { question, repos: chosenRepositories(), stream: true, conversation: current ?? "new" };
    const reply = await send("/v1/ask", { method: "POST", json, signal: request.signal });
    const answer = await follow(reply.body, exchange);
    exchange.finish(answer, (performance.now() - begun) / 1000);
    if (underWay === request && answer.conversation) become(answer.conversation);
    on.changed();
  } catch (error) {
    if (error.name === "AbortError") exchange.stop();
    else if (error.status === 401) {
      exchange.article.remove();
      show();
      on.refused(question);
    } else exchange.fail(sentenceFor(error), again);
  } finally {
    if (underWay === request) {
      underWay = null;
      on.busy(false);
    }
  }
}

async function follow(body, exchange) {
  let text = "";
  for await (const { name, data } of readEvents(body)) {
    if (name === "sources") exchange.update({ sources: data.sources, text: (text = "") });
    if (name === "token") exchange.update({ text: (text += data.text) });
    if (name === "error") throw new Refusal(data.error.message);
    if (name === "answer") return data;
  }
  throw new Refusal("The answer ended before it was complete.");
}

export function newConversation(isNewPage = true) {
  stopAsking();
  underWay = null;
  on.busy(false);
  thread.replaceChildren();
  current = null;
  if (isNewPage) history.pushState({ conversation: null }, "", location.pathname);
  show();
  on.changed();
}

export async function openConversation(id, isNewPage = true) {
  const { turns } = await getJson(`/v1/conversations/${encodeURIComponent(id)}`);
  newConversation(false);
  current = id;
  if (isNewPage) history.pushState({ conversation: id }, "", location.pathname);
  for (const turn of turns) append(new Exchange(turn.question)).finish(turn.answer, undefined, turn.feedback);
  on.changed();
}

// After a reload, the conversation that the history entry belongs to.
export async function resume() {
  const id = history.state?.conversation;
  if (id) await openConversation(id, false).catch(() => remember());
  else remember();
}

function become(id) {
  current = id;
  remember();
}

function remember() {
  history.replaceState({ conversation: current }, "");
}

function append(exchange) {
  thread.append(exchange.article);
  show();
  exchange.article.scrollIntoView({ block: "start" });
  return exchange;
}

function show() {
  const begun = thread.childElementCount > 0;
  document.body.classList.toggle("asked", begun);
  byId("question").placeholder = begun ? "Ask a follow-up" : FIRST;
}
