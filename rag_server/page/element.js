// The one way in which this page makes elements: attributes by name, children as nodes or as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function button(label, action, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", action);
  return made;
}

export function icon(name) {
  return element("span", { class: `icon icon-${name}`, "aria-hidden": "true" });
}

export function problem(sentence) {
  return element("p", { class: "error", role: "alert" }, sentence);
}

// Tells those who listen to the page rather than look at it.
export function say(sentence) {
  byId("said").textContent = sentence;
}
