// Server-sent events over fetch, which EventSource cannot do for a POST.

import { Refusal } from "./server.js";

const BROKEN = "The connection broke before the answer was complete.";

export async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  while (true) {
    const { value, done } = await reader.read().catch(broken);
    if (done) return;
    buffer += value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const [nameLine, dataLine] = block.split("\n");
      if (!dataLine) continue; // a comment that keeps the line open
      const name = nameLine.slice("event: ".length);
      yield { name, data: JSON.parse(dataLine.slice("data: ".length)) };
      if (name === "answer") return;
    }
  }
}

function broken(error) {
  if (error?.name === "AbortError") throw error;
  throw new Refusal(BROKEN);
}
