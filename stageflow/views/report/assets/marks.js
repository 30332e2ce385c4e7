"use strict";
// Making elements, and the marks of statuses: a shape each, so that none is told by its colour alone.

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = {
  ok: "M4.6 8.3l2.3 2.3 4.5-5",
  fail: "M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6",
  skip: "M4.6 5l3 3-3 3M8.6 5l3 3-3 3",
  cancel: "M4.8 8h6.4",
  running: "M8 4.6v3.6l2.4 1.6",
  waiting: "M5 8h.01M8 8h.01M11 8h.01",
};

/** An element with attributes and children; texts become text nodes, never markup. */
function make(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same, of SVG. */
function draw(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "on") for (const [type, listen] of Object.entries(value)) element.addEventListener(type, listen);
    else if (name === "text") element.textContent = value;
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The mark of a status: filled where something happened, a ring where nothing did. */
function mark(status, size = 16) {
  const body = status === "fail"
    ? draw("path", { class: "body", d: "M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z" })
    : draw("circle", { class: "body", cx: 8, cy: 8, r: 7.2 });
  const shape = draw("path", { class: "shape", d: SHAPES[status] || SHAPES.waiting });
  return draw("svg", { class: `mark ${status}`, viewBox: "0 0 16 16", width: size, height: size, "aria-hidden": "true" }, body, shape);
}

/** A line of terms and what they are. */
function terms(pairs) {
  const list = make("dl", { class: "terms" });
  for (const [term, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(make("dt", { text: term }), make("dd", {}, value instanceof Node ? value : String(value)));
  }
  return list;
}
