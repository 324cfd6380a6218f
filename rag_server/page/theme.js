// Light, dark, or what the system says: one button goes round, and the choice is remembered in this browser.

import { byId } from "./element.js";

const THEMES = ["system", "light", "dark"];

export function startTheme() {
  const toggle = byId("theme");
  show(toggle, document.documentElement.dataset.theme);
  toggle.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    document.documentElement.dataset.theme = next;
    show(toggle, next);
    try {
      localStorage.setItem("theme", next);
    } catch {
      // storage is switched off: the choice holds until the page is left
    }
  });
}

function show(toggle, theme) {
  const known = THEMES.includes(theme) ? theme : "system";
  toggle.firstElementChild.className = `icon icon-${known}`;
  toggle.title = `Theme: ${known}`;
  toggle.setAttribute("aria-label", toggle.title);
}
