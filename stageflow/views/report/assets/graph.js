"use strict";
// The graph on the page: drawn once, then panned, zoomed, walked by keys, and dimmed where a search does not match.

const view = { x: 0, y: 0, scale: 1, width: 0, height: 0 };
const drawnNodes = new Map();
let layer = null;

/** Draws the graph; `choose` is called with the node that is clicked or entered. */
function drawGraph(choose) {
  const canvas = document.getElementById("canvas"), section = document.getElementById("graph");
  if (!run.nodes.length) {
    section.hidden = true;
    return;
  }
  const sideways = canvas.clientWidth > 620, placed = laidOut(sideways);
  note("graph-note", placed.note);
  if (!placed.nodes) {
    canvas.remove();
    section.querySelector(".tools").remove();
    return;
  }
  Object.assign(view, { width: placed.width, height: placed.height });
  layer = draw("g", {});
  const svg = draw("svg", { class: "graph", role: "group", "aria-label": "The graph: arrow keys walk it, Enter shows a stage" },
    draw("defs", {}, arrow("arrow"), arrow("arrow-critical")), layer);
  placed.clusters.forEach((cluster) => layer.append(drawnCluster(cluster)));
  const onPath = criticalEdges();
  placed.edges.forEach((edge, number) => layer.append(drawnEdge(edge.points, onPath.has(`${run.edges[number].before},${run.edges[number].after}`))));
  placed.edges.forEach(({ x, y }, number) => run.edges[number].label && x !== undefined && layer.append(draw("text", { class: "case", x, y: y + 4, text: short(run.edges[number].label) })));
  run.nodes.forEach((node) => layer.append(drawnNode(node, placed.nodes[node.number], choose)));
  const first = run.nodes.find((node) => node.name);
  if (first) drawnNodes.get(first.number).setAttribute("tabindex", "0");
  canvas.replaceChildren(svg);
  size(canvas, svg, placed.nodes);
  listen(canvas, svg);
}

function note(id, text) {
  const element = document.getElementById(id);
  element.hidden = !text;
  element.textContent = text || "";
}

function arrow(id) {
  return draw("marker", { id, class: id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
    draw("path", { d: "M0 .6L7.4 4 0 7.4z" }));
}

function drawnCluster(cluster) {
  const left = cluster.x - cluster.width / 2, top = cluster.y - cluster.height / 2 - 12;
  const label = cluster.each ? `${cluster.label} · per item` : cluster.label;
  return draw("g", { class: "cluster" },
    draw("rect", { x: left, y: top, width: cluster.width, height: cluster.height + 16, rx: 10 }),
    draw("text", { x: left + 10, y: top + 14, text: label }));
}

/** The edges that the critical path goes along, past junctions. */
function criticalEdges() {
  const found = new Set();
  for (let at = 1; at < run.critical.length; at++) {
    const [before, after] = [run.stages[run.critical[at - 1]].node, run.stages[run.critical[at]].node];
    if (before < 0 || after < 0) continue;
    const came = new Map([[before, null]]), unseen = [before];
    while (unseen.length && !came.has(after)) {
      const here = unseen.shift();
      for (const next of run.nodes[here].after) {
        if (came.has(next) || (next !== after && run.nodes[next].name)) continue;
        came.set(next, here);
        unseen.push(next);
      }
    }
    for (let here = after; came.get(here) !== null && came.has(here); here = came.get(here)) found.add(`${came.get(here)},${here}`);
  }
  return found;
}

function drawnEdge(points, onPath) {
  const [first, ...rest] = points, last = rest.pop();
  let d = `M${first.x} ${first.y}`;
  if (!rest.length) {
    const bend = (last.x - first.x) / 2;
    d += `C${first.x + bend} ${first.y} ${last.x - bend} ${last.y} ${last.x} ${last.y}`;
  } else {
    rest.forEach((point, at) => {
      const next = rest[at + 1], end = next ? { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 } : last;
      d += `Q${point.x} ${point.y} ${end.x} ${end.y}`;
    });
  }
  return draw("path", { class: onPath ? "edge critical" : "edge", d, "marker-end": `url(#${onPath ? "arrow-critical" : "arrow"})` });
}

function drawnNode(node, place, choose) {
  if (!node.name) return draw("circle", { class: "junction", cx: place.x, cy: place.y, r: 4 });
  const { width, height } = place, status = statusOf(node), onPath = node.stages.some((stage) => critical.has(stage.number));
  const label = `${node.name} ${beneath(node)}, ${WORDS[status]}${onPath ? ", on the critical path" : ""}`; // what is seen, and more
  const group = draw("g", {
    class: `node ${status}${onPath ? " critical" : ""}`, role: "button", tabindex: "-1", "aria-label": label,
    "data-node": node.number, transform: `translate(${place.x - width / 2} ${place.y - height / 2})`,
    on: { click: () => choose(node), keydown: (event) => walk(event, node, choose) },
  }, node.name === short(node.label) ? null : draw("title", { text: `${node.name} ` }));
  if (node.each) group.append(draw("rect", { class: "behind", x: 4, y: 4, width, height, rx: 8 }));
  const badge = mark(status, 16);
  badge.setAttribute("x", 11);
  badge.setAttribute("y", height / 2 - 8);
  group.append(draw("rect", { class: "card", width, height, rx: 8 }), badge,
    draw("text", { class: "label", x: 35, y: 18.5, text: short(node.label) }),
    draw("text", { class: "beneath", x: 35, y: 34, text: ` ${beneath(node)}` }));
  if (onPath) group.append(draw("path", { class: "gem", d: `M${width - 1} -5.5l5.5 5.5-5.5 5.5-5.5-5.5z` }));
  drawnNodes.set(node.number, group);
  return group;
}

/** Enter shows a node's stages; right and left go along edges, up and down through the graph's order. */
function walk(event, node, choose) {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    choose(node);
    return;
  }
  const named = run.nodes.filter((other) => other.name), at = named.indexOf(node);
  const next = {
    ArrowRight: () => neighbours(node, "after")[0], ArrowLeft: () => neighbours(node, "before")[0],
    ArrowDown: () => named[at + 1], ArrowUp: () => named[at - 1], Home: () => named[0], End: () => named[named.length - 1],
  }[event.key];
  if (!next) return;
  event.preventDefault();
  const target = next();
  if (target) reach(target);
}

/** Focuses a node: one stop of the Tab key is all that the graph takes. */
function reach(node) {
  drawnNodes.forEach((group) => group.setAttribute("tabindex", "-1"));
  const group = drawnNodes.get(node.number);
  group.setAttribute("tabindex", "0");
  group.focus();
  const box = group.getBoundingClientRect(), frame = document.getElementById("canvas").getBoundingClientRect();
  const dx = box.left < frame.left ? frame.left - box.left + 20 : Math.min(0, frame.right - box.right - 20);
  const dy = box.top < frame.top ? frame.top - box.top + 20 : Math.min(0, frame.bottom - box.bottom - 20);
  if (dx || dy) move(view.x + dx, view.y + dy, view.scale);
}

/** Makes the canvas as tall as the graph needs; of a graph that is taller, it shows where the critical path begins. */
function size(canvas, svg, places) {
  const scale = Math.min(1, Math.max(0.5, canvas.clientWidth / view.width));
  const height = Math.round(Math.min(Math.max(view.height * scale + 8, 132), Math.max(300, window.innerHeight * 0.56)));
  canvas.style.height = `${height}px`;
  svg.setAttribute("width", "100%");
  svg.setAttribute("height", height);
  fit(canvas, 0.5);
  const start = run.critical.length ? places[run.stages[run.critical[0]].node] : places[0], over = view.height * view.scale - height;
  if (over > 0 && start) move(view.x, -Math.min(over, Math.max(0, start.y * view.scale - height / 2)), view.scale);
}

/** Shows the whole graph, or its beginning where that would be too small to read. */
function fit(canvas, least) {
  const scale = Math.min(1, Math.max(least, Math.min(canvas.clientWidth / view.width, canvas.clientHeight / view.height)));
  const spare = [canvas.clientWidth - view.width * scale, canvas.clientHeight - view.height * scale];
  move(Math.max(spare[0] / 2, 0), spare[1] < 0 && least ? 0 : spare[1] / 2, scale);
}

function move(x, y, scale) {
  Object.assign(view, { x, y, scale });
  layer.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${scale.toFixed(4)})`);
}

function zoom(factor, x, y) {
  const scale = Math.min(2.5, Math.max(0.05, view.scale * factor)), by = scale / view.scale;
  move(x - (x - view.x) * by, y - (y - view.y) * by, scale);
}

/** Dragging pans, two fingers or the wheel with Ctrl zoom; a plain wheel still scrolls the page. */
function listen(canvas, svg) {
  const fingers = new Map();
  const middle = (factor) => zoom(factor, canvas.clientWidth / 2, canvas.clientHeight / 2);
  document.getElementById("closer").addEventListener("click", () => middle(1.25));
  document.getElementById("further").addEventListener("click", () => middle(0.8));
  document.getElementById("fit").addEventListener("click", () => fit(canvas, 0));
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const frame = svg.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => fingers.set(event.pointerId, { x: event.clientX, y: event.clientY }));
  window.addEventListener("pointermove", (event) => {
    const from = fingers.get(event.pointerId);
    if (!from) return;
    const to = { x: event.clientX, y: event.clientY };
    if (fingers.size === 1) move(view.x + to.x - from.x, view.y + to.y - from.y, view.scale);
    if (fingers.size === 2) {
      const [, other] = [...fingers].find(([id]) => id !== event.pointerId), frame = svg.getBoundingClientRect();
      const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
      zoom(apart(to) / apart(from), (to.x + other.x) / 2 - frame.left, (to.y + other.y) / 2 - frame.top);
    }
    fingers.set(event.pointerId, to);
  });
  for (const type of ["pointerup", "pointercancel"]) window.addEventListener(type, (event) => fingers.delete(event.pointerId));
}

/** Dims what does not match, and outlines the node that is shown. */
function markGraph(matches, chosen) {
  drawnNodes.forEach((group, number) => {
    const { stages } = run.nodes[number];
    group.classList.toggle("dim", stages.length ? !stages.some(matches) : !matches(null));
    group.classList.toggle("chosen", number === chosen);
  });
}
