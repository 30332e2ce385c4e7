"use strict";
// Beside the graph: the run as a whole, and the stage or the items that were chosen.

const LISTED = 100; // items, events or neighbours in one list

/** A heading with what belongs under it; nothing where there is nothing. */
function part(title, ...children) {
  const found = children.filter(Boolean);
  return found.length ? make("section", { class: "part" }, make("h3", { text: title }), ...found) : null;
}

/** A list of at most so many, and how many were left out. */
function listed(things, item, kind = "ul") {
  if (!things.length) return null;
  const list = make(kind, { class: "plain" }, ...things.slice(0, LISTED).map((thing) => make("li", {}, ...[item(thing)].flat())));
  if (things.length > LISTED) list.append(make("li", { class: "soft", text: `and ${(things.length - LISTED).toLocaleString("en")} more` }));
  return list;
}

/** A button that shows a stage or node. */
function link(status, name, more, choose) {
  return make("button", { type: "button", class: "link", on: { click: choose } }, mark(status, 14), make("span", { class: "own", text: name }),
    more ? make("span", { class: "soft number", text: more }) : null);
}

function events(all) {
  return listed(all || [], (event) => [make("span", { class: "number soft", text: `+${duration(event.at)}` }), make("span", { class: "own", text: event.type }),
    event.data ? make("span", { class: "data soft", text: event.data.map(([key, value]) => `${key} ${value}`).join(" · ") }) : null].filter(Boolean));
}

function errorPart(error) {
  if (!error) return null;
  return part("Error", make("p", { class: "error" }, make("strong", { text: error.type }), ` ${error.message}`), error.fields.length ? terms(error.fields) : null,
    error.trace ? make("details", { class: "trace", open: true }, make("summary", { text: "Traceback" }), make("pre", { tabindex: "0", text: error.trace })) : null);
}

/** The panel's heading, which takes the focus, and what closes it. */
function heading(status, name, below, close) {
  return make("div", { class: "strip" },
    make("div", { class: "named" }, make("h2", { id: "details-title", tabindex: "-1" }, mark(status, 18), make("span", { text: name })),
      make("p", { class: "soft", text: below })),
    make("button", { type: "button", class: "quiet", "aria-label": "Close", on: { click: close } }, "Close"));
}

/** What the pipeline says of a node, whatever became of it in this run. */
function declared(node) {
  return [["Takes", node.input], ["Gives", node.output], ["Around it", node.around], ["Ports", node.ports]];
}

/** One stage, in full. */
function stageDetails(stage, choose, close) {
  const node = run.nodes[stage.node], onPath = critical.has(stage.number);
  const around = (side) => (node ? listed(neighbours(node, side), (other) => link(statusOf(other), other.name, beneath(other), () => choose(other))) : null);
  const siblings = node && node.stages.length > 1 ? link(statusOf(node), node.name, beneath(node), () => choose(node)) : null;
  return [
    heading(stage.status, stage.name, [stage.kind, WORDS[stage.status], onPath && "on the critical path"].filter(Boolean).join(" · "), close),
    stage.reason ? make("p", { class: "reason", text: stage.reason }) : null,
    terms([
      ["Started", stage.start === null ? "never" : `+${duration(stage.start)}`],
      ["Duration", stage.start === null ? "" : `${duration(stage.duration)} (${((stage.duration / total) * 100).toFixed(1)}% of the run)`],
      ["Attempts", stage.attempts],
      ...(node ? declared(node) : []),
    ]),
    errorPart(stage.error),
    stage.tries && stage.tries.length > 1 ? part("Attempts", listed(stage.tries, (attempt) => [make("span", { class: "number soft", text: `+${duration(attempt.at)}` }),
      make("span", { text: attempt.error ? `again, after: ${attempt.error}` : "begun" })], "ol")) : null,
    part("Artifacts", listed(stage.artifacts || [], (artifact) => [make("span", { class: "own", text: artifact.type }), make("pre", { text: artifact.payload })])),
    part("Events", events(stage.events)),
    part("One of", siblings),
    part("Follows", around("before")),
    part("Followed by", around("after")),
  ];
}

/** All items of a node, the worst first. */
function itemsDetails(node, choose, close) {
  const started = node.stages.filter((stage) => stage.start !== null).sort((one, other) => one.duration - other.duration);
  const worst = [...node.stages].sort((one, other) => WORST.indexOf(one.status) - WORST.indexOf(other.status) || other.duration - one.duration);
  const at = (share) => (started.length ? duration(started[Math.round((started.length - 1) * share)].duration) : "");
  const around = (side) => listed(neighbours(node, side), (other) => link(statusOf(other), other.name, beneath(other), () => choose(other)));
  return [
    heading(statusOf(node), node.name, `${node.kind} · ${many(node.stages.length, "item")}`, close),
    terms([...counts(node.stages).map(([status, count]) => [WORDS[status][0].toUpperCase() + WORDS[status].slice(1), count.toLocaleString("en")]),
      ["Shortest", at(0)], ["Median", at(0.5)], ["Longest", at(1)],
      ["Tried again", node.stages.filter((stage) => stage.attempts > 1).length || ""], ...declared(node)]),
    part("Items, worst first", listed(worst, (stage) => link(stage.status, stage.name, stage.start === null ? "" : duration(stage.duration), () => choose(stage)))),
    part("Follows", around("before")),
    part("Followed by", around("after")),
  ];
}

/** The run as a whole: its critical path, ids and events. */
function overview(choose) {
  const path = run.critical.map((number) => run.stages[number]);
  const busy = path.reduce((sum, stage) => sum + stage.duration, 0), between = run.duration - busy;
  const waited = between > run.duration / 10 ? ` The other ${duration(between)} went by before and between them: waiting for a free place, or for the event loop.` : "";
  return [
    make("h2", { text: "Overview" }),
    part("Critical path", path.length ? make("p", { class: "soft", text: `What determined the end: ${many(path.length, "stage")}, ${duration(busy)} of ${duration(run.duration)}.${waited}` })
      : make("p", { class: "soft", text: run.nodes.length ? "No stage ran." : "The pipeline was not given, so who waited for whom is not known." }),
    listed(path, (stage) => link(stage.status, stage.name, duration(stage.duration), () => choose(stage)), "ol")),
    part("Ids", make("div", { class: "ids" }, terms([["run", run.run], ...run.correlation.filter(([name]) => name !== "run_id")]))),
    part("Events of the run", events(run.events)),
    part("Keys", make("p", { class: "soft keys", text: "/ searches, Tab goes from part to part, arrows walk the graph and the timeline, Enter shows, Escape closes." })),
  ];
}
