"use strict";
// The stages as a table that is a timeline too: sorted by any column, each bar where and as long as the clock says.
// The items of an `.each` are one row that opens; where something is searched for, each that matches is a row.

const SHOWN = 5000; // rows at a time; a browser lays out only those in sight
const FEW = 2; // items that need no row around them
const COLUMNS = [
  { key: "name", title: "Stage", by: (entry) => entry.name },
  { key: "status", title: "Status", by: (entry) => WORST.indexOf(entry.status) },
  { key: "attempts", title: "Tries", by: (entry) => -entry.attempts },
  { key: "duration", title: "Duration", by: (entry) => -entry.duration },
  { key: "start", title: "Timeline", by: (entry) => (entry.start === null ? Infinity : entry.start) },
];
const rows = new Map(); // by what they show: a stage, or the group that a node's items are
const sorting = { key: "start", turned: false };
const groups = new Map(run.nodes.filter((node) => node.each && node.stages.length > FEW).map((node) => [node.number, group(node)]));

/** The items of a node as one entry of the table: from when the first began to when the last ended. */
function group(node) {
  const began = node.stages.filter((stage) => stage.start !== null);
  const start = began.length ? began.reduce((first, stage) => Math.min(first, stage.start), Infinity) : null;
  return {
    node, name: node.name, status: statusOf(node), open: false, number: node.stages[0].number, start,
    attempts: node.stages.reduce((most, stage) => Math.max(most, stage.attempts), 0),
    duration: began.reduce((last, stage) => Math.max(last, ends(stage)), start) - start,
  };
}

/** Builds the table; `choose` is called with the stage or node that is clicked or entered, `again` shows it anew. */
function drawStages(choose, again) {
  const list = document.getElementById("list");
  const heads = COLUMNS.map((column) => make("div", { class: `cell ${column.key}`, role: "columnheader", "data-key": column.key },
    make("button", { type: "button", class: "sort", text: column.title, on: { click: () => sort(column.key, again) } }),
    column.key === "start" ? scale() : null));
  const body = make("div", { class: "rows", role: "rowgroup" });
  list.setAttribute("role", "treegrid");
  list.setAttribute("aria-label", "Stages and timeline: arrow keys walk it and open items, Enter shows a stage");
  list.append(make("div", { class: "row header", role: "row" }, ...heads), body);
  body.addEventListener("click", (event) => {
    const found = event.target.closest(".row");
    if (event.target.matches(".opens")) turn(groups.get(Number(found.dataset.group)), again);
    else if (found) choose(shownBy(found));
  });
  body.addEventListener("keydown", (event) => step(event, body, choose, again));
}

/** The row of a stage or group; made when it is first shown. */
function rowOf(entry) {
  if (!rows.has(entry)) rows.set(entry, entry.node?.stages ? groupRow(entry) : row(entry));
  return rows.get(entry);
}

/** The stage or node that a row shows. */
function shownBy(row) {
  return row.dataset.stage ? run.stages[row.dataset.stage] : run.nodes[row.dataset.group];
}

function sort(key, again) {
  sorting.turned = sorting.key === key && !sorting.turned;
  sorting.key = key;
  again();
}

/** Where the axis is marked, four or so times, and how. */
function ticks() {
  const rough = total / 4, power = 10 ** Math.floor(Math.log10(rough));
  const stride = [1, 2, 5, 10].map((by) => by * power).find((by) => by >= rough);
  const [unit, word] = total >= 1000 ? [1000, "s"] : [1, "ms"];
  return Array.from({ length: Math.floor(total / stride) + 1 }, (_, at) => [at * stride, at ? `${Number(((at * stride) / unit).toPrecision(4))} ${word}` : "0"]);
}

function scale() {
  const axis = make("div", { class: "axis", "aria-hidden": "true" });
  for (const [at, word] of ticks()) {
    if (at / total > 0.93) continue;
    const tick = make("span", { class: "tick", text: word });
    tick.style.left = `${(at / total) * 100}%`;
    axis.append(tick);
  }
  return axis;
}

function row(stage) {
  const onPath = critical.has(stage.number), cut = stage.name.lastIndexOf(".") + 1;
  return cells(stage, { class: onPath ? "critical" : "", "aria-label": spoken(stage), "data-stage": stage.number },
    [make("span", { class: "path", text: stage.name.slice(0, cut) }), make("span", { class: "own", text: stage.name.slice(cut) }), onPath ? gem() : null],
    stage.start === null ? [] : bars(stage));
}

function groupRow(entry) {
  const { node } = entry, onPath = node.stages.some((stage) => critical.has(stage.number)), cut = node.name.lastIndexOf(".") + 1;
  return cells(entry, { class: `group${onPath ? " critical" : ""}`, "aria-label": `${node.name}, ${many(node.stages.length, "item")}, ${beneath(node)}`, "data-group": node.number },
    [make("span", { class: "opens", "aria-hidden": "true" }), make("span", { class: "path", text: node.name.slice(0, cut) }), make("span", { class: "own", text: node.name.slice(cut) }),
      make("span", { class: "times", text: `×${node.stages.length.toLocaleString("en")}` }), onPath ? gem() : null],
    [...[...WORST].reverse().flatMap((status) => spans(node.stages.filter((stage) => stage.status === status), `bar ${status}`)), ...spans(node.stages.filter((stage) => critical.has(stage.number)), "line")]);
}

function gem() {
  return make("span", { class: "gem", title: "on the critical path", text: "◆" });
}

function cells(entry, attributes, name, track) {
  return make("div", { ...attributes, class: `row ${entry.status} ${attributes.class}`, role: "row", tabindex: "-1" },
    make("div", { class: "cell name", role: "gridcell", title: entry.name }, ...name),
    make("div", { class: "cell status", role: "gridcell" }, mark(entry.status, 14), make("span", { text: WORDS[entry.status] })),
    make("div", { class: "cell attempts", role: "gridcell", text: entry.attempts || "–" }),
    make("div", { class: "cell duration", role: "gridcell", text: entry.start === null ? "–" : duration(entry.duration) }),
    make("div", { class: "cell start", role: "gridcell" }, make("div", { class: "track" }, ...track)));
}

/** When any of these stages ran, in as few bars as that takes: those that touch are one. */
function spans(stages, kind) {
  const sorted = stages.filter((stage) => stage.start !== null).sort((one, other) => one.start - other.start), found = [];
  for (const stage of sorted) {
    const last = found[found.length - 1];
    if (last && stage.start <= last.end + total / 500) last.end = Math.max(last.end, ends(stage));
    else found.push({ start: stage.start, end: ends(stage) });
  }
  return found.map(({ start, end }) => place(make("div", { class: kind }), start, end - start));
}

/** The bar of a stage, the begin of each further attempt on it, and before it what the critical path waited. */
function bars(stage) {
  const bar = place(make("div", { class: `bar ${stage.status}` }), stage.start, stage.duration);
  for (const attempt of (stage.tries || []).slice(1)) {
    const again = make("i", { class: "again", title: "tried again" });
    again.style.left = `${Math.min(100, Math.max(0, ((attempt.at - stage.start) / (stage.duration || 1)) * 100))}%`;
    bar.append(again);
  }
  const at = critical.get(stage.number);
  if (at === undefined) return [bar];
  const came = at ? ends(run.stages[run.critical[at - 1]]) : 0, waited = stage.start - came;
  if (waited < total / 200) return [bar];
  return [place(make("div", { class: "wait", title: `waited ${duration(waited)}` }), came, waited), bar];
}

function place(element, start, length) {
  element.style.left = `${(start / total) * 100}%`;
  element.style.width = `${(length / total) * 100}%`;
  return element;
}

/** Orders entries by the sorted column, those that are equal as the graph has them. */
function ordered(entries) {
  const { by } = COLUMNS.find((column) => column.key === sorting.key);
  const found = entries.map((entry) => [by(entry), entry]);
  found.sort(([one, left], [other, right]) => (one < other ? -1 : one > other ? 1 : left.number - right.number));
  if (sorting.turned) found.reverse();
  return found.map(([, entry]) => entry);
}

/** What the table shows: with all shown, items in their groups; else each stage that matches. */
function entries(matches, all) {
  if (!all) return ordered(run.stages.filter(matches));
  const outer = [...run.stages.filter((stage) => !groups.has(stage.node)), ...groups.values()];
  return ordered(outer).flatMap((entry) => (entry.open ? [entry, ...ordered(entry.node.stages)] : [entry]));
}

/** Shows the stages that match; `all` says that nothing is searched for. */
function showStages(matches, all, chosen) {
  const found = entries(matches, all), body = document.querySelector(".rows");
  const shown = found.slice(0, SHOWN).map((entry) => [entry, rowOf(entry)]);
  body.replaceChildren(...shown.map(([, element]) => element));
  shown.forEach(([entry, element]) => {
    const inside = all && !entry.node?.stages && groups.has(entry.node);
    element.classList.toggle("item", inside);
    element.setAttribute("aria-level", inside ? 2 : 1);
    element.setAttribute("aria-selected", entry.node?.stages ? chosen.stage < 0 && chosen.node === entry.node.number : chosen.stage === entry.number);
    element.setAttribute("tabindex", "-1");
    if (entry.node?.stages) element.setAttribute("aria-expanded", entry.open);
  });
  (body.querySelector("[aria-selected=true]") || body.firstElementChild)?.setAttribute("tabindex", "0");
  document.querySelectorAll("[role=columnheader]").forEach((head) => {
    const here = head.dataset.key === sorting.key;
    head.setAttribute("aria-sort", here ? (sorting.turned ? "descending" : "ascending") : "none");
  });
  note("list-note", found.length > SHOWN ? `The first ${SHOWN.toLocaleString("en")} of ${many(found.length, "row")}: search or filter for the others.`
    : found.length ? "" : "No stage matches.");
}

/** Opens or closes a group of items. */
function turn(entry, again, open = !entry.open) {
  if (entry.open === open) return;
  entry.open = open;
  again();
}

function step(event, body, choose, again) {
  const at = event.target.closest(".row"), entry = groups.get(Number(at.dataset.group));
  const keys = {
    Enter: () => choose(shownBy(at)), " ": () => choose(shownBy(at)),
    ArrowDown: () => go(at, at.nextElementSibling), ArrowUp: () => go(at, at.previousElementSibling),
    Home: () => go(at, body.firstElementChild), End: () => go(at, body.lastElementChild),
    ArrowRight: () => entry && turn(entry, again, true), ArrowLeft: () => entry && turn(entry, again, false),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
  if (entry && event.key.startsWith("Arrow") && !document.activeElement.matches(".row")) go(at, at);
}

function go(from, to) {
  if (!to) return;
  from.setAttribute("tabindex", "-1");
  to.setAttribute("tabindex", "0");
  to.focus();
}
