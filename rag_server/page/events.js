// Server-sent events over fetch, which EventSource cannot do for a POST.

export async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const [nameLine, dataLine] = block.split("\n");
      yield { name: nameLine.slice("event: ".length), data: JSON.parse(dataLine.slice("data: ".length)) };
    }
  }
}
