// Handles what the reader does (list of videos, slider, pointer, keys), and starts the page.

const NARROW = matchMedia("(max-width: 860px)");

function fillList() {
  const strips = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) drawListed(entry.target);
  });
  index.videos.forEach((video, place) => {
    const canvas = make("canvas");
    const line = make("span", {}, make("b", { textContent: video.name, title: video.name }), clock(video.duration));
    const button = make("button", { type: "button", onclick: () => pick(place) }, line, canvas);
    const item = make("li", {}, button);
    item.dataset.place = place;
    byId("list").append(item);
    strips.observe(canvas);
  });
  byId("viewer").classList.toggle("alone", index.videos.length < 2);
  search();
}

function pick(place) {
  show(place);
  if (NARROW.matches) byId("videos").open = false;
}

function drawListed(canvas) {
  const { pen, width } = context(canvas, 13);
  if (width) drawStrip(pen, index.videos[canvas.closest("li").dataset.place], width, 13);
}

function drawAllListed() {
  const list = byId("list").getBoundingClientRect();
  for (const item of byId("list").children) {
    const box = item.getBoundingClientRect();
    if (box.height && box.bottom > list.top && box.top < list.bottom) drawListed(item.querySelector("canvas"));
    else item.querySelector("canvas").width = 0;
  }
}

// Lists the videos whose name, or the name of one of their actions, contains the words.
function search() {
  const words = byId("search").value.trim().toLowerCase();
  let count = 0;
  for (const item of byId("list").children) {
    const video = index.videos[item.dataset.place];
    const texts = [video.name, ...video.lanes.map((label) => index.classes[label])];
    item.hidden = !texts.some((text) => text.toLowerCase().includes(words));
    count += item.hidden ? 0 : 1;
  }
  rove(view.place);
  byId("count").textContent = words ? `${count} of ${index.videos.length}` : index.videos.length;
}

const listed = () => [...byId("list").children].filter((item) => !item.hidden);

// Opens the next or previous video of the list.
function step(by) {
  const places = listed().map((item) => Number(item.dataset.place));
  const place = by > 0 ? places.find((each) => each > view.place) : places.findLast((each) => each < view.place);
  if (place !== undefined) show(place);
}

// Makes one video of the list a stop of the Tab key: the given one, or the first if it is not listed.
function rove(place) {
  const items = listed();
  const stop = items.find((item) => Number(item.dataset.place) === place) || items[0];
  for (const item of byId("list").children) item.firstChild.tabIndex = item === stop ? 0 : -1;
}

function onListKey(event) {
  const items = listed();
  const at = items.findIndex((item) => item.contains(document.activeElement));
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (next === undefined || (at < 0 && event.key !== "ArrowDown")) return;
  const item = items[next];
  if (item) {
    rove(Number(item.dataset.place));
    item.firstChild.focus();
  } else if (next < 0) byId("search").focus();
  event.preventDefault();
}

// Returns the lane, time and segment under the pointer; null outside the lanes.
function under(event) {
  const lane = lanes.find((each) => each.canvas === event.target);
  if (!lane) return null;
  const box = lane.canvas.getBoundingClientRect();
  const [left, top] = [event.clientX - box.left, event.clientY - box.top];
  const [start, end] = lane.kind === "whole" ? [0, view.extent] : [view.start, view.end];
  const time = start + (left / box.width) * (end - start);
  return { lane, time, width: box.width, segment: lane.bars ? segmentAt(lane, left, top, box.width) : null };
}

function hover(event) {
  const spot = under(event);
  view.time = spot && spot.lane.kind !== "whole" ? spot.time : null;
  view.hovered = spot ? spot.segment : null;
  tell(event, view.hovered, view.time);
  redraw();
}

function unhover() {
  Object.assign(view, { time: null, hovered: null });
  byId("tip").hidden = true;
  redraw();
}

function tell(event, segment, time) {
  const tip = byId("tip");
  const image = time !== null && frames.length ? frameAt(frames, time).image : null;
  const seen = image && image.naturalWidth > 0;
  tip.hidden = !segment && !seen;
  if (tip.hidden) return;
  const lines = segment ? Object.values(describe(segment)).filter(Boolean) : [clock(time, true)];
  tip.replaceChildren(
    ...(seen ? [make("img", { src: image.src, alt: "" })] : []),
    ...(segment ? [make("b", { textContent: index.classes[segment.label] })] : []),
    ...lines.map((textContent) => make("span", { textContent })),
  );
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  const left = event.clientX + 16 + width > innerWidth ? event.clientX - 16 - width : event.clientX + 16;
  const top = Math.min(event.clientY + 16, innerHeight - height - 4);
  tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
}

// One pointer drags, two pointers pinch, and a press without a move chooses a segment.
const pressed = new Map();
let grip = null;

function takeGrip(spot) {
  const places = [...pressed.values()].map((event) => event.clientX);
  const middle = (Math.min(...places) + Math.max(...places)) / 2;
  const spread = Math.max(...places) - Math.min(...places);
  grip = { middle, spread, start: view.start, end: view.end, width: spot.width, whole: spot.lane.kind === "whole" };
  grip.left = spot.lane.canvas.getBoundingClientRect().left;
}

function onPointerDown(event) {
  const spot = under(event);
  if (!spot || event.button > 0) return;
  pressed.set(event.pointerId, event);
  event.target.setPointerCapture(event.pointerId);
  takeGrip(spot);
  if (spot.lane.kind === "whole") setWindow(spot.time, view.end - view.start);
  redraw();
}

function onPointerMove(event) {
  if (!pressed.has(event.pointerId)) {
    hover(event);
    return;
  }
  const moved = Math.abs(event.clientX - pressed.get(event.pointerId).clientX) > 4;
  if (!moved && !grip.moved && pressed.size === 1) return;
  pressed.set(event.pointerId, event);
  const places = [...pressed.values()].map((each) => each.clientX);
  const middle = (Math.min(...places) + Math.max(...places)) / 2;
  const span = grip.end - grip.start;
  if (grip.whole) {
    setWindow(((event.clientX - grip.left) / grip.width) * view.extent, span);
  } else {
    const spread = Math.max(...places) - Math.min(...places);
    const wanted = pressed.size > 1 && spread > 0 ? (span * grip.spread) / spread : span;
    const held = grip.start + ((grip.middle - grip.left) / grip.width) * span;
    setWindow(held, wanted, (middle - grip.left) / grip.width);
  }
  grip.moved = true;
  byId("timeline").classList.add("dragging");
  unhover();
}

function onPointerUp(event) {
  if (!pressed.delete(event.pointerId)) return;
  byId("timeline").classList.remove("dragging");
  const spot = under(event);
  if (pressed.size) {
    takeGrip(spot);
    grip.moved = true;
  } else if (!grip.moved && event.type === "pointerup") {
    view.chosen = spot.segment;
    if (!grip.whole) seek(spot.segment ? spot.segment.start : spot.time, spot.segment !== null);
    hover(event);
  }
}

function onWheel(event) {
  const spot = under(event);
  if (!spot) return;
  const unit = event.deltaMode === 1 ? 16 : 1;
  const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
  const before = [view.start, view.end];
  if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) move((sideways * unit * (view.end - view.start)) / spot.width);
  else zoom(Math.exp(event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0015)), spot.time);
  // The page scrolls when the timeline cannot zoom or move further.
  if (event.ctrlKey || before[0] !== view.start || before[1] !== view.end) event.preventDefault();
  hover(event);
}

function fit(segment) {
  setWindow((segment.start + segment.end) / 2, 2 * (segment.end - segment.start));
  redraw();
}

// Chooses the next or previous segment in time among those that have a lane.
function choose(by) {
  const order = lanes.flatMap((lane) => (lane.bars ? [...lane.truth, ...lane.bars.map((bar) => bar.segment)] : []));
  order.sort((a, b) => a.start - b.start || a.end - b.end);
  const at = order.indexOf(view.chosen);
  const segment = order[at < 0 ? (by > 0 ? 0 : order.length - 1) : at + by];
  if (!segment) return;
  view.chosen = segment;
  seek(segment.start, false);
  if (segment.start < view.start || segment.end > view.end) {
    setWindow((segment.start + segment.end) / 2, Math.max(view.end - view.start, 1.2 * (segment.end - segment.start)));
  }
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const tenth = (view.end - view.start) / 10;
  const actions = {
    "+": () => zoom(1 / 1.5), "=": () => zoom(1 / 1.5), "-": () => zoom(1.5), 0: () => setWindow(0, view.extent),
    ArrowLeft: () => move(-tenth), ArrowRight: () => move(tenth), ArrowUp: () => choose(-1), ArrowDown: () => choose(1),
    ...(played ? { " ": togglePlay } : {}),
  };
  if (!Object.hasOwn(actions, event.key)) return;
  actions[event.key]();
  event.preventDefault();
  redraw();
}

function onThreshold() {
  setLeast(Number(byId("threshold").value));
  byId("threshold").setAttribute("aria-valuetext", leastText());
  arrange();
  drawAllListed();
}

function listen() {
  const timeline = byId("timeline");
  const on = (id, handler) => byId(id).addEventListener("click", () => (handler(), redraw()));
  on("in", () => zoom(1 / 1.5));
  on("out", () => zoom(1.5));
  on("whole", () => setWindow(0, view.extent));
  on("previous", () => step(-1));
  on("next", () => step(1));
  byId("search").addEventListener("input", search);
  byId("videos").addEventListener("keydown", onListKey);
  byId("threshold").addEventListener("input", onThreshold);
  byId("segments").addEventListener("toggle", tabulate);
  timeline.addEventListener("pointerdown", onPointerDown);
  timeline.addEventListener("pointermove", onPointerMove);
  timeline.addEventListener("pointerup", onPointerUp);
  timeline.addEventListener("pointercancel", onPointerUp);
  timeline.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && unhover());
  document.addEventListener("pointerdown", (event) => timeline.contains(event.target) || unhover());
  window.addEventListener("scroll", unhover, { passive: true });
  timeline.addEventListener("wheel", onWheel, { passive: false });
  timeline.addEventListener("dblclick", (event) => view.chosen && under(event) && fit(view.chosen));
  timeline.addEventListener("keydown", onKey);
  new ResizeObserver(redraw).observe(timeline);
  new ResizeObserver(drawAllListed).observe(byId("list"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (readTheme(), redraw(), drawAllListed()));
  window.addEventListener("beforeprint", toPaper);
  window.addEventListener("afterprint", () => (fromPaper(), drawAllListed()));
  NARROW.addEventListener("change", () => (byId("videos").open = !NARROW.matches));
}

// Returns the place of the video in the address: the number after #, counted from 1.
function fromAddress() {
  const place = Number.parseInt(location.hash.slice(1), 10) - 1;
  return place >= 0 && place < index.videos.length ? place : 0;
}

function start() {
  readTheme();
  if (!index.videos.length) return;
  byId("viewer").hidden = false;
  byId("videos").open = !NARROW.matches;
  setLeast(Number(byId("threshold").value));
  fillList();
  listen();
  listenToPlayer();
  show(fromAddress());
  window.addEventListener("hashchange", () => fromAddress() !== view.place && show(fromAddress()));
}

start();
