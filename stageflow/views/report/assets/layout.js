"use strict";
// Where the nodes of the graph go: by dagre, or in plain columns where the graph is too large for that.

const FULL = 300; // nodes that dagre lays out while nobody waits; edges, three times as many
const DRAWN = 3000; // nodes beyond which a drawing says nothing any more
const TALL = 44;

/** How wide a node is drawn: by its label, and what stands under it. */
function widthOf(node) {
  return node.name ? Math.min(230, Math.max(112, 46 + 7.6 * Math.max(short(node.label).length, 0.84 * beneath(node).length))) : 10;
}

/** A label that fits a node. */
function short(label) {
  return label.length > 26 ? `${label.slice(0, 14)}…${label.slice(-11)}` : label;
}

/** The second line of a node. */
function beneath(node) {
  if (node.stages.length !== 1 || node.each) {
    const found = counts(node.stages).map(([status, count]) => `${count.toLocaleString("en")} ${WORDS[status]}`);
    return found.length ? found.slice(0, 2).join(" · ") + (found.length > 2 ? " …" : "") : "no items";
  }
  const [stage] = node.stages;
  if (stage.start === null) return WORDS[stage.status];
  return duration(stage.duration) + (stage.attempts > 1 ? ` · ${stage.attempts} attempts` : "");
}

/** The graph with positions, its edges' points and its clusters' boxes; `note` says what was left out. */
function laidOut(sideways) {
  if (run.nodes.length > DRAWN) {
    return { note: `The graph has ${many(run.nodes.length, "node")}: more than the ${DRAWN.toLocaleString("en")} that can be drawn to some use. The stages are below.` };
  }
  if (run.nodes.length > FULL || run.edges.length > 3 * FULL) {
    return { ...columns(), note: `A simple layout, in columns and without nesting: ${many(run.nodes.length, "node")} and ${many(run.edges.length, "edge")} are more than are laid out in full (${FULL} and ${3 * FULL}).` };
  }
  try {
    return byDagre(sideways);
  } catch (error) {
    return { ...columns(), note: `A simple layout, in columns and without nesting: the full one failed (${error.message}).` };
  }
}

function byDagre(sideways) {
  const graph = new dagre.graphlib.Graph({ compound: true });
  graph.setGraph({ rankdir: sideways ? "LR" : "TB", nodesep: sideways ? 30 : 22, ranksep: sideways ? 46 : 40, marginx: 14, marginy: 22 });
  graph.setDefaultEdgeLabel(() => ({}));
  run.nodes.forEach((node) => graph.setNode(`n${node.number}`, { width: widthOf(node), height: node.name ? TALL : 10 }));
  const used = new Set();
  run.nodes.forEach((node) => {
    if (node.cluster < 0) return;
    graph.setParent(`n${node.number}`, `c${node.cluster}`);
    for (let at = node.cluster; at >= 0 && !used.has(at); at = run.clusters[at].parent) used.add(at);
  });
  used.forEach((at) => {
    graph.setNode(`c${at}`, {});
    if (run.clusters[at].parent >= 0) graph.setParent(`c${at}`, `c${run.clusters[at].parent}`);
  });
  run.edges.forEach(({ before, after, label }) => graph.setEdge(`n${before}`, `n${after}`,
    label ? { width: 7 * short(label).length, height: 14, labelpos: "c" } : {}));
  dagre.layout(graph);
  return {
    width: graph.graph().width,
    height: graph.graph().height,
    nodes: run.nodes.map((node) => graph.node(`n${node.number}`)),
    edges: run.edges.map(({ before, after }) => graph.edge(`n${before}`, `n${after}`)),
    clusters: [...used].sort((one, other) => one - other).map((at) => ({ ...run.clusters[at], ...graph.node(`c${at}`) })),
  };
}

/** A column a rank, each node in the first that is after all it follows; a long column goes on beside itself. */
function columns() {
  const rank = new Array(run.nodes.length).fill(0), waits = run.nodes.map((node) => node.before.length);
  const ready = run.nodes.filter((node) => !node.before.length).map((node) => node.number), ranks = [];
  for (let next = 0; next < ready.length; next++) {
    const at = ready[next];
    (ranks[rank[at]] ||= []).push(at);
    for (const after of run.nodes[at].after) {
      rank[after] = Math.max(rank[after], rank[at] + 1);
      if (--waits[after] === 0) ready.push(after);
    }
  }
  const rows = Math.max(12, Math.ceil(Math.sqrt(run.nodes.length / 2))), nodes = [];
  let x = 14, height = 0;
  for (const all of ranks.filter(Boolean)) {
    all.sort((one, other) => one - other);
    for (let first = 0; first < all.length; first += rows) {
      const column = all.slice(first, first + rows), wide = Math.max(...column.map((at) => widthOf(run.nodes[at])));
      column.forEach((at, row) => {
        nodes[at] = { x: x + wide / 2, y: 36 + row * (TALL + 14), width: widthOf(run.nodes[at]), height: run.nodes[at].name ? TALL : 10 };
      });
      height = Math.max(height, 22 + column.length * (TALL + 14));
      x += wide + (first + rows < all.length ? 18 : 60);
    }
  }
  const edges = run.edges.map(({ before, after }) => ({ points: [
    { x: nodes[before].x + nodes[before].width / 2, y: nodes[before].y },
    { x: nodes[after].x - nodes[after].width / 2, y: nodes[after].y },
  ] }));
  return { width: x, height, nodes, edges, clusters: [] };
}
