"use strict";
// What ties the parts together: what is searched for, what is chosen, the colours, the keys.

const wanted = { text: "", statuses: new Set() };
const chosen = { stage: -1, node: -1, from: null };

/** Whether a stage is one of those searched for; null stands for a node that has none. */
function matches(stage) {
  if (stage === null) return !wanted.text && !wanted.statuses.size;
  return (!wanted.statuses.size || wanted.statuses.has(stage.status)) && wanted.text.split(/\s+/).every((word) => stage.text.includes(word));
}

/** Shows anew what depends on the search and the choice. */
function show() {
  const found = run.stages.filter(matches).length;
  showStages(matches, found === run.stages.length && !wanted.text, chosen);
  markGraph(matches, chosen.node);
  document.getElementById("found").textContent = found === run.stages.length ? many(found, "stage")
    : `${found.toLocaleString("en")} of ${many(run.stages.length, "stage")}`;
}

/** Shows a stage, or a node: its one stage, or all its items. */
function choose(thing) {
  const node = thing.stages ? thing : run.nodes[thing.node], stage = thing.stages ? (thing.each || thing.stages.length !== 1 ? null : thing.stages[0]) : thing;
  const panel = document.getElementById("details");
  if (panel.hidden) chosen.from = document.activeElement;
  Object.assign(chosen, { stage: stage ? stage.number : -1, node: node ? node.number : -1 });
  const parts = stage ? stageDetails(stage, choose, close) : itemsDetails(node, choose, close);
  panel.replaceChildren(...parts.filter(Boolean));
  panel.hidden = false;
  document.body.classList.add("choosing");
  remember(stage ? stage.name : node.name);
  show();
  panel.scrollTop = 0;
  document.getElementById("details-title").focus({ preventScroll: true });
}

/** Closes the details, and gives the focus back to where they were opened from. */
function close() {
  const panel = document.getElementById("details");
  if (panel.hidden) return;
  const row = rows.get(run.stages[chosen.stage]);
  panel.hidden = true;
  document.body.classList.remove("choosing");
  Object.assign(chosen, { stage: -1, node: -1 });
  remember("");
  show();
  const back = chosen.from?.isConnected && chosen.from !== document.body ? chosen.from : row;
  if (back?.isConnected) back.focus({ preventScroll: true });
}

/** Keeps what is shown in the address, so that a link leads to it. */
function remember(name) {
  try {
    history.replaceState(null, "", name ? `#${encodeURIComponent(name)}` : "#");
  } catch {
    // Some hosts of a page forbid that; then it has no address of its own.
  }
}

function remembered() {
  const name = decodeURIComponent(location.hash.slice(1));
  return run.stages.find((stage) => stage.name === name) || run.nodes.find((node) => node.name && node.name === name);
}

/** The status of a stage that went as the run did. */
function statusOfRun() {
  return { completed: "ok", failed: "fail", skipped: "skip", cancelled: "cancel" }[run.status] || "running";
}

function facts() {
  const started = new Date(run.started);
  const fact = (term, ...what) => make("div", {}, make("span", { class: "term", text: term }), make("span", { class: "what" }, ...what));
  const status = statusOfRun();
  document.getElementById("pipeline").textContent = run.pipeline;
  document.getElementById("facts").append(
    make("div", { class: `state ${status}` }, mark(status, 20), make("span", { text: run.status[0].toUpperCase() + run.status.slice(1) })),
    fact("Duration", duration(run.duration)),
    fact("Started", make("time", { datetime: run.started, title: run.started, text: `${started.toISOString().slice(0, 19).replace("T", " ")} UTC` })),
    fact("Run", make("code", { text: run.run })));
}

/** What failed, right under the title: the first few, each leading to its stage. */
function trouble() {
  const failed = run.stages.filter((stage) => stage.status === "fail"), section = document.getElementById("trouble");
  const why = run.reason || (failed.length ? "" : run.error);
  if (run.status === "completed" || (!failed.length && !why)) return;
  section.hidden = false;
  section.classList.add(statusOfRun());
  if (why) section.append(make("p", { text: why }));
  for (const stage of failed.slice(0, 3)) {
    section.append(make("button", { type: "button", class: "link", on: { click: () => choose(stage) } }, mark("fail", 14), make("span", { class: "own", text: stage.name }),
      stage.error ? make("span", { class: "message", text: `${stage.error.type}: ${stage.error.message}` }) : null));
  }
  if (failed.length > 3) {
    section.append(make("button", { type: "button", class: "link more", text: `and ${(failed.length - 3).toLocaleString("en")} more that failed`, on: { click: () => filter("fail") } }));
  }
}

function filters() {
  for (const [status, count] of counts(run.stages)) {
    document.getElementById("filters").append(make("button", { type: "button", class: `chip ${status}`, "aria-pressed": "false", "data-status": status, on: { click: () => filter(status) } },
      mark(status, 14), make("span", { text: WORDS[status] }), make("span", { class: "number", text: count.toLocaleString("en") })));
  }
}

function filter(status) {
  if (!wanted.statuses.delete(status)) wanted.statuses.add(status);
  document.querySelectorAll(".chip").forEach((chip) => chip.setAttribute("aria-pressed", wanted.statuses.has(chip.dataset.status)));
  show();
}

/** The colours that the reader's system has, until the button says otherwise. */
function theme() {
  const button = document.getElementById("theme"), system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const say = () => button.setAttribute("aria-pressed", dark());
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    say();
  });
  system.addEventListener("change", say);
  say();
}

function key() {
  if (critical.size) document.getElementById("key").append(make("span", { class: "gem", text: "◆" }), " critical path");
}

function keys() {
  const search = document.getElementById("search");
  search.addEventListener("input", () => {
    wanted.text = search.value.trim().toLowerCase();
    show();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target === search && search.value) {
      search.value = wanted.text = "";
      show();
    } else if (event.key === "Escape") close();
    if (event.key === "/" && event.target !== search && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    }
  });
}

facts();
trouble();
filters();
theme();
key();
keys();
drawStages(choose, show);
document.getElementById("overview").append(...overview(choose).filter(Boolean));
drawGraph(choose);
const first = remembered();
if (first) choose(first);
else show();
document.documentElement.dataset.ready = "";
