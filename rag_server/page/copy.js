// A button that copies a text, also where the browser has no clipboard for pages without TLS.

import { button, element, say } from "./element.js";

const SHOWN_MS = 1600;

export function copyButton(label, text, attributes = {}) {
  const made = button(label, async () => {
    const copied = await copy(text());
    made.textContent = copied ? "Copied" : "Not copied";
    say(made.textContent);
    setTimeout(() => (made.textContent = label), SHOWN_MS);
  }, { class: "copy", ...attributes });
  return made;
}

async function copy(text) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => copyBySelection(text));
  }
  return copyBySelection(text);
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const area = element("textarea", { class: "hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus({ preventScroll: true });
  return copied;
}
