// Fills the page around the lanes: names, counts, legend, table, cursor.

let lanes = [];
let frames = [];
let waiting = false;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function show(place) {
  openVideo(place);
  if (fromAddress() !== place) history.replaceState(null, "", `#${place + 1}`);
  byId("name").textContent = view.video.name;
  byId("length").textContent = clock(view.video.duration, true);
  byId("previous").disabled = place === 0;
  byId("next").disabled = place === index.videos.length - 1;
  frames = view.curves.thumbnails.map(([time, jpeg]) => {
    const image = make("img", { onload: redraw, src: `data:image/jpeg;base64,${jpeg}` });
    return { time, image };
  });
  for (const item of byId("list").children) {
    const current = Number(item.dataset.place) === place;
    item.firstChild.setAttribute("aria-current", String(current));
    if (current) item.scrollIntoView({ block: "nearest" });
  }
  rove(place);
  arrange();
  load();
}

// Builds the lanes again, for another video or another position of the slider.
function arrange() {
  const { video, curves } = view;
  const actions = visibleLanes();
  const shownCurves = [...actions.map((label) => curves.activations[video.lanes.indexOf(label)]), curves.background];
  const values = shownCurves.flat().filter((value) => value !== null);
  const range = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [0, 0]).map((value) => value / 1000);
  const top = byId("lanes");
  top.replaceChildren();
  lanes = [
    { kind: "whole", name: "Whole video" },
    { kind: "axis", name: "" },
    ...(frames.length ? [{ kind: "frames", name: "Frames" }] : []),
    { kind: "attention", name: "Attention", curve: curves.attention, range: [0, 1] },
    ...actions.map((label, i) => actionLane(label, shownCurves[i], range)),
    { kind: "background", name: "Background", curve: curves.background, range },
  ].map((lane) => addLane(top, lane));
  describeAll(actions, range);
  redraw();
}

function actionLane(label, curve, range) {
  const mine = view.segments.filter((segment) => segment.label === label);
  const bars = inRows(mine.filter((segment) => !isTruth(segment) && isShown(segment)));
  return { kind: "action", name: index.classes[label], label, curve, range, truth: mine.filter(isTruth), bars };
}

function addLane(top, lane) {
  const canvas = make("canvas");
  const name = make("div", { className: "lane-name" });
  const value = make("output");
  if (lane.name) name.append(make("b", { textContent: lane.name, title: lane.name }), value);
  if (lane.kind === "action") {
    const swatch = make("i");
    swatch.style.background = `var(--colour-${index.colours[lane.label]})`;
    name.firstChild.prepend(swatch);
  }
  const row = make("div", { className: "lane" }, name, canvas);
  Object.assign(row.dataset, { lane: lane.kind, predictions: (lane.bars || []).length, truth: (lane.truth || []).length });
  canvas.setAttribute("role", "img");
  const counts = lane.bars ? `: ${counted(lane.bars.length, "prediction")}, ${counted(lane.truth.length, "true segment")}` : "";
  canvas.setAttribute("aria-label", `${lane.name || "Time"}${counts}`);
  top.append(row);
  return { ...lane, canvas, value, height: HEIGHTS[lane.kind] };
}

// Writes the counts, the legend, the classes without a lane, and the table.
function describeAll(actions, range) {
  const { video } = view;
  const shown = video.predictions.filter((row) => row[3] >= view.least);
  const known = video.truth ? `; ${counted(video.truth.length, "true segment")}` : "";
  byId("score").textContent = leastText();
  byId("shown").textContent = `${shown.length} of ${counted(video.predictions.length, "prediction")}${known}`;
  const key = (name, text) => make("span", {}, make("i", { className: name }), text);
  byId("legend").replaceChildren(
    ...(video.truth ? [key("truth", "ground truth, shaded across its lane")] : []),
    key("prediction", "prediction, more opaque with a higher score"),
    key("curve", `class activation, ${range.map((value) => digits(value, 1)).join(" to ")} in every lane; attention, 0 to 1`),
  );
  const names = (labels) => [...new Set(labels)].filter((label) => !actions.includes(label)).map((label) => index.classes[label]).join(", ");
  const weak = names(video.lanes);
  const more = names(view.segments.filter((each) => isShown(each) && !video.lanes.includes(each.label)).map((each) => each.label));
  byId("hidden").textContent = [weak && `Below this score: ${weak}.`, more && `Without a lane: ${more}.`].filter(Boolean).join(" ");
  byId("hidden").hidden = !weak && !more;
  if (byId("segments").open) tabulate();
}

function tabulate() {
  const cell = (tag, text, className = "") => make(tag, { textContent: text, className });
  const head = [["action"], [""], ["start", "number"], ["end", "number"], ["score", "number"], ["tIoU", "number"]];
  const rows = view.segments.filter(isShown).sort((a, b) => a.start - b.start || a.end - b.end).map((segment) => {
    const tiou = overlapWithTruth(segment);
    const numbers = [clock(segment.start, true), clock(segment.end, true), isTruth(segment) ? "" : digits(segment.score, 3), tiou === null ? "" : tiou.toFixed(2)];
    const words = [index.classes[segment.label], isTruth(segment) ? "ground truth" : "prediction"];
    return make("tr", {}, ...words.map((text) => cell("td", text)), ...numbers.map((text) => cell("td", text, "number")));
  });
  const header = make("tr", {}, ...head.map(([text, className]) => cell("th", text, className)));
  byId("rows").replaceChildren(make("table", {}, make("thead", {}, header), make("tbody", {}, ...rows)));
}

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const lane of lanes) drawLane(lane);
    byId("whole").disabled = byId("out").disabled = view.end - view.start >= view.extent;
    drawCursor();
    tellChosen();
  });
}

function drawLane(lane) {
  const { pen, width } = context(lane.canvas, lane.height);
  if (!width) return;
  if (lane.kind !== "whole" && lane.kind !== "axis") drawGrid(pen, width, lane.height);
  if (lane.kind === "whole") drawWhole(pen, width, lane.height - 2);
  if (lane.kind === "axis") drawAxis(pen, width, lane.height);
  if (lane.kind === "frames") drawFrames(pen, width, lane.height, frames);
  if (lane.kind === "action") drawAction(pen, width, lane);
  if (lane.kind === "attention" || lane.kind === "background") {
    drawCurve(pen, lane.curve, ...lane.range, theme["ink-soft"], width, 5, lane.height - 8);
  }
}

function tellChosen() {
  const { chosen } = view;
  const text = chosen ? [index.classes[chosen.label], ...Object.values(describe(chosen))].filter(Boolean).join(", ") : "Click a segment, or press \u2191 or \u2193 on the timeline, to see its details here.";
  byId("chosen").classList.toggle("soft", !chosen);
  if (byId("chosen").textContent !== text) byId("chosen").textContent = text;
}

function drawCursor() {
  const time = view.time ?? playedTime();
  const inside = time !== null && time >= view.start && time <= view.end;
  byId("cursor").hidden = !inside;
  for (const lane of lanes) {
    const value = inside && lane.curve ? valueAt(lane.curve, time) : undefined;
    lane.value.textContent = value === undefined ? "" : digits(value, 2);
  }
  if (!inside) return;
  const axis = lanes.find((lane) => lane.kind === "axis").canvas;
  byId("cursor").style.transform = `translateX(${axis.offsetLeft + scale(axis.clientWidth)(time)}px)`;
  byId("now").textContent = clock(time, true);
  byId("cursor").style.top = `${axis.parentElement.offsetTop}px`; // the lane above has the time of the whole video
}
