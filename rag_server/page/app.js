// The page: asks, shows the answer as it is written, opens the lines that it cites.
// Whatever comes from a repository or a model reaches the document as text, never as markup.

import { startCitations, stepCitation } from "./citations.js";
import { clearComposer, focusComposer, giveBack, showBusy, startComposer } from "./composer.js";
import { ask, currentConversation, isAsking, newConversation, openConversation, resume, startConversation, stopAsking } from "./conversation.js";
import { button, byId } from "./element.js";
import { clearHistory, closeDrawer, showHistory, startHistory, toggleHistory } from "./history.js";
import { startKeyboard } from "./keyboard.js";
import { placeFromHash } from "./place.js";
import { clearRepositories, closePicker, showRepositories } from "./repositories.js";
import { isSignedIn, startSession } from "./session.js";
import { closeSource, openSource, startSource } from "./source.js";
import { stopWatching, watchStatus } from "./status.js";
import { startTheme } from "./theme.js";

const EXAMPLES = ["Where does a request start?", "How are errors reported?", "Which settings are there?"];

function beginAnew() {
  closeDrawer();
  closeSource();
  newConversation();
  focusComposer();
}

function followHash() {
  const place = placeFromHash(location.hash);
  if (place) openSource(place);
  else closeSource();
}

async function entered() {
  watchStatus(back);
  await Promise.all([showRepositories(), showHistory()]);
  if (!currentConversation() && !isAsking()) await resume();
  followHash();
  if (!placeFromHash(location.hash)) focusComposer();
}

function left() {
  closeSource();
  newConversation();
  clearComposer();
  clearHistory();
  clearRepositories();
}

function back() {
  if (!isSignedIn()) return begin();
  showRepositories();
  showHistory();
}

function begin() {
  return startSession({ entered, ended: stopWatching, left }).catch(() => watchStatus(back));
}

startTheme();
startSource();
startCitations();
startConversation({ changed: () => isSignedIn() && showHistory(), busy: showBusy, refused: giveBack });
startHistory({ open: openConversation, began: newConversation, current: currentConversation });
startComposer({
  asked(text) {
    closePicker();
    ask(text);
  },
  stopped: stopAsking,
  isAsking,
});
startKeyboard(
  [
    { key: "/", says: "go to the question", run: focusComposer },
    { key: "n", says: "a new conversation", run: beginAnew },
    { key: "j", says: "the next citation", run: () => stepCitation(1) },
    { key: "k", says: "the citation before", run: () => stepCitation(-1) },
    { key: "h", says: "show or hide the conversations", run: toggleHistory },
  ],
  [closePicker, closeDrawer, closeSource, () => isAsking() && (stopAsking(), true), () => document.activeElement.blur()],
);
byId("new").addEventListener("click", beginAnew);
for (const example of EXAMPLES) byId("examples").append(button(example, () => ask(example)));
window.addEventListener("hashchange", followHash);
begin();
