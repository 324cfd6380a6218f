// Who answers, and whether the server is there at all: asked now and then while someone looks at the page.

import { byId } from "./element.js";
import { getJson } from "./server.js";

const EVERY_MS = 15_000;
const EVERY_MS_WHILE_AWAY = 3_000;

let timer = 0;

// `back` runs when the server answers again after it did not.
export function watchStatus(back) {
  const look = async () => {
    clearTimeout(timer);
    const wasAway = byId("status").dataset.mode === "away";
    if (!document.hidden) await show();
    const isAway = byId("status").dataset.mode === "away";
    if (wasAway && !isAway) back();
    timer = setTimeout(look, isAway ? EVERY_MS_WHILE_AWAY : EVERY_MS);
  };
  document.onvisibilitychange = window.ononline = window.onoffline = look;
  return look();
}

export function stopWatching() {
  clearTimeout(timer);
  document.onvisibilitychange = window.ononline = window.onoffline = null;
}

async function show() {
  const status = byId("status");
  try {
    const info = await getJson("/model/info");
    status.dataset.mode = info.mode;
    status.textContent = info.mode === "llm" ? info.model : "extractive, no model";
    status.title = info.detail;
  } catch (error) {
    const isThere = error.status > 0; // and has said no, which is told where something was asked
    status.dataset.mode = isThere ? "" : "away";
    status.textContent = isThere ? "" : "server away";
    status.title = error.message;
  }
}
