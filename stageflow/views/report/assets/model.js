"use strict";
// The run as the page reads it: its data, looked up by stage and by node, and the words for it.

const run = JSON.parse(document.getElementById("data").textContent);
const WORDS = { ok: "OK", fail: "failed", skip: "skipped", cancel: "cancelled", running: "running", waiting: "waiting" };
const WORST = ["fail", "running", "cancel", "skip", "ok", "waiting"]; // which status a node of many stages shows
const critical = new Map(run.critical.map((stage, place) => [stage, place]));
const total = run.stages.reduce((last, stage) => Math.max(last, ends(stage)), Math.max(run.duration, 0.001));

run.nodes.forEach((node, number) => Object.assign(node, { name: node.name || "", label: node.label || "", number, stages: [], before: [], after: [] }));
run.stages.forEach((stage, number) => {
  stage.number = number;
  stage.text = [stage.name, stage.reason, stage.error && `${stage.error.type} ${stage.error.message}`]
    .filter(Boolean).join("\n").toLowerCase();
  if (stage.node >= 0) run.nodes[stage.node].stages.push(stage);
});
run.edges.forEach(({ before, after }) => {
  run.nodes[before].after.push(after);
  run.nodes[after].before.push(before);
});

/** When a stage ended, in milliseconds from the run's start. */
function ends(stage) {
  return stage.start === null ? 0 : stage.start + stage.duration;
}

/** How many of these stages have each status, worst first. */
function counts(stages) {
  const by = new Map(WORST.map((status) => [status, 0]));
  for (const stage of stages) by.set(stage.status, (by.get(stage.status) || 0) + 1);
  return [...by].filter(([, count]) => count > 0);
}

/** The status that stands for all stages of a node: the worst, but some skipped among others are nothing to worry about. */
function statusOf(node) {
  const found = counts(node.stages).map(([status]) => status);
  if (found[0] === "skip" && found.includes("ok")) return "ok";
  return found[0] || "waiting";
}

/** The nodes right before or after one, past junctions. */
function neighbours(node, side) {
  const found = new Set(), unseen = [...node[side]];
  while (unseen.length) {
    const next = run.nodes[unseen.pop()];
    if (next.name) found.add(next.number);
    else unseen.push(...next[side]);
  }
  return [...found].sort((one, other) => one - other).map((number) => run.nodes[number]);
}

/** Milliseconds, as people say it. */
function duration(ms) {
  if (ms === 0) return "0 ms";
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")} min`;
}

/** A number with its thousands told apart, and the word for what it counts. */
function many(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

/** What a stage or node is, in one line, for a screen reader. */
function spoken(stage) {
  const tries = stage.attempts > 1 ? `, ${stage.attempts} attempts` : "";
  const time = stage.start === null ? ", never started" : `, ${duration(stage.duration)}`;
  return `${stage.name}, ${WORDS[stage.status]}${time}${tries}${critical.has(stage.number) ? ", on the critical path" : ""}`;
}
