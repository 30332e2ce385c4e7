// Mermaid's own parser, for the tests: a line of JSON with a diagram's text in, a line of JSON with what it is out.
import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("");
globalThis.window = window; // before Mermaid is loaded: what it escapes HTML with needs a page
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");
mermaid.initialize({ maxTextSize: 10_000_000, maxEdges: 1_000_000 });

async function read(text) {
  try {
    await mermaid.parse(text);
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
    const labels = [...db.getVertices().values()].map((vertex) => vertex.text);
    return { labels, edges: db.getEdges().length, clusters: db.getSubGraphs().length };
  } catch (error) {
    return { error: String(error.message ?? error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await read(JSON.parse(line))));
}
