// The one way to the server. Whatever goes wrong comes back as a sentence for the person who asked.

export const SESSION_ENDED = "session-ended";

const AWAY = "The server does not answer. Is it still running?";

export class Refusal extends Error {
  constructor(sentence, status = 0) {
    super(sentence);
    this.status = status; // 0: nothing came back
  }
}

export async function send(path, { method = "GET", json, signal } = {}) {
  const reply = await reach(path, {
    method,
    signal,
    ...(json && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(json) }),
  });
  if (reply.ok) return reply;
  if (reply.status === 401) document.dispatchEvent(new Event(SESSION_ENDED));
  throw new Refusal(await sentenceOf(reply), reply.status);
}

export async function getJson(path) {
  return (await send(path)).json();
}

// What to show for an error: a refusal speaks for itself; anything else is a mistake in this page, for its console.
export function sentenceFor(error) {
  if (error instanceof Refusal) return error.message;
  console.error(error);
  return "Something went wrong in this page. Reload it and try again.";
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(AWAY);
  }
}

async function sentenceOf(reply) {
  const said = await reply.json().then(
    (document) => document.error?.message,
    () => undefined, // not from this server: a proxy's page, say
  );
  const sentence = asSentence(said ? String(said) : `the server answered with ${reply.status}`);
  const seconds = Number(reply.headers.get("Retry-After"));
  const saysWhen = /\b(try again|the next in)\b/i.test(sentence);
  return seconds > 0 && !saysWhen ? `${sentence} Try again ${inWords(seconds)}.` : sentence;
}

function asSentence(text) {
  const start = /^(an?|another|no|nothing|that|the|there|this|what|you|your) /.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(start) ? start : `${start}.`;
}

function inWords(seconds) {
  if (seconds < 90) return `in ${Math.ceil(seconds)} second${seconds > 1 ? "s" : ""}`;
  if (seconds < 5400) return `in ${Math.ceil(seconds / 60)} minutes`;
  const then = new Date(Date.now() + seconds * 1000);
  return `at ${then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}${seconds > 86_400 ? " in a few days" : ""}`;
}
