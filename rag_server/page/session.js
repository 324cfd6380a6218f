// Who is asking. A key is exchanged for a cookie that scripts cannot read; the page itself never keeps the key.

import { byId } from "./element.js";
import { SESSION_ENDED, getJson, send, sentenceFor } from "./server.js";

const IN_A_LINK = "#key=";

const view = byId("sign-in");
const field = byId("key");
const stay = byId("sign-in-stay");
let user = null; // the last who was signed in, so that another one does not meet their thread
let signedIn = false;
let on = { entered() {}, ended() {}, left() {} };

// `entered` runs when someone is signed in, `ended` when nobody is any more, `left` when what is on the page must go too.
export async function startSession(handlers) {
  on = handlers;
  const key = keyFromAddress();
  try {
    enter(await getJson("/v1/me"));
    if (key) offer(key);
  } catch (error) {
    if (error.status === 0) throw error;
    if (error.status === 401 && key) return signIn(key);
    show("");
    if (error.status !== 401) byId("sign-in-problem").textContent = sentenceFor(error);
  }
}

export const isSignedIn = () => signedIn;

// A link ".../#key=cia_..." signs in by itself; the key leaves the address and the history before anything else happens.
function keyFromAddress() {
  if (!location.hash.startsWith(IN_A_LINK)) return null;
  const key = location.hash.slice(IN_A_LINK.length);
  history.replaceState(history.state, "", location.pathname);
  return key;
}

// A link must not turn a person who is signed in into somebody else without a word.
function offer(key) {
  show(`You are signed in as ${user}. Sign in with the key of this link instead?`, key);
  stay.textContent = `Stay signed in as ${user}`;
  stay.hidden = false;
}

function show(reason, key = "") {
  signedIn = false;
  on.ended();
  byId("sign-in-reason").textContent = reason;
  byId("sign-in-problem").textContent = "";
  field.value = key;
  stay.hidden = true;
  document.body.dataset.session = "none";
  if (!view.open) view.showModal();
  field.focus();
}

function signIn(key) {
  return enterBy(send("/auth/session", { method: "POST", json: { api_key: key } }).then((reply) => reply.json()));
}

async function enterBy(reply) {
  try {
    enter(await reply);
  } catch (error) {
    if (!view.open) show("");
    byId("sign-in-problem").textContent = sentenceFor(error);
    field.select();
  }
}

function enter(me) {
  if (user !== null && user !== me.user) on.left();
  user = me.user;
  signedIn = true;
  field.value = "";
  document.body.dataset.session = "signed-in";
  byId("user").textContent = me.admin ? `${me.user}, administrator` : me.user;
  if (view.open) view.close();
  on.entered();
}

async function signOut() {
  try {
    await send("/auth/session", { method: "DELETE" });
  } catch (error) {
    if (error.status !== 401) {
      byId("user").textContent = sentenceFor(error);
      return;
    }
  }
  user = null;
  on.left();
  show("You are signed out.");
}

byId("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(field.value.trim());
});
stay.addEventListener("click", () => enterBy(getJson("/v1/me")));
view.addEventListener("cancel", (event) => event.preventDefault());
view.addEventListener("close", () => !signedIn && view.showModal()); // a browser lets a second Esc through
byId("sign-out").addEventListener("click", signOut);
document.addEventListener(SESSION_ENDED, () => signedIn && show("Your session has ended. Nothing you typed is lost."));
window.addEventListener("hashchange", async () => {
  const key = keyFromAddress();
  if (key) await (signedIn ? offer(key) : signIn(key));
});
