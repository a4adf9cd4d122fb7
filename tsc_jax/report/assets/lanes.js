// Draws the lanes: each is a canvas that shows the window of time.

const HEIGHTS = { whole: 22, axis: 24, frames: 58, attention: 52, action: 104, background: 48 };
const TRUTH = { top: 4, height: 7 };
const FOUND = { top: 15, height: 36 };
const CURVE = { top: 57, height: 42 };
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];

let theme = {};
function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  theme = Object.fromEntries(["surface", "ink", "ink-soft", "line", "shade"].map((name) => [name, read(name)]));
  theme.colours = Array.from({ length: 8 }, (_, i) => read(`colour-${i}`));
}
const colourOf = (label) => theme.colours[index.colours[label]];

// Returns a context that draws in CSS pixels at the resolution of the screen; width is 0 if the canvas is not shown.
function context(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return { pen, width };
}

const scale = (width, start = view.start, end = view.end) => (time) => ((time - start) / (end - start)) * width;

function fill(pen, colour, alpha, left, top, width, height, radius = 0) {
  pen.fillStyle = colour;
  pen.globalAlpha = alpha;
  pen.beginPath();
  pen.roundRect(left, top, width, height, Math.min(radius, width / 2, height / 2));
  pen.fill();
  pen.globalAlpha = 1;
}

// Returns the left edge and the width of a segment, at least 2 pixels.
function stretch(segment, x) {
  const left = x(segment.start);
  return [left, Math.max(2, x(segment.end) - left)];
}

const strength = (score) => (best > 0 ? 0.25 + 0.75 * Math.min(1, Math.max(0, score / best)) : 0.25);

// Puts predictions that overlap into different rows, the best on top.
function inRows(segments) {
  const rows = [];
  return segments.map((segment) => {
    let row = rows.findIndex((others) => others.every((other) => segment.start >= other.end || segment.end <= other.start));
    if (row < 0) row = rows.push([]) - 1;
    rows[row].push(segment);
    return { segment, row };
  });
}

function rowHeight(bars) {
  const rows = bars.reduce((most, bar) => Math.max(most, bar.row + 1), 1);
  return Math.min(17, FOUND.height / rows);
}

// Returns the seconds between two ticks of the axis.
const tick = (width) => STEPS.find((each) => (each / (view.end - view.start)) * width >= 64) || STEPS[STEPS.length - 1];

function drawAxis(pen, width, height) {
  const x = scale(width);
  const step = tick(width);
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  pen.textBaseline = "middle";
  pen.fillStyle = theme["ink-soft"];
  for (let i = Math.ceil(view.start / step); i * step <= view.end; i += 1) {
    const text = clock(i * step, step < 1);
    const half = pen.measureText(text).width / 2;
    const at = x(i * step);
    pen.fillRect(Math.min(width - 1, at), height - 5, 1, 5);
    pen.fillText(text, Math.min(width - 2 * half, Math.max(0, at - half)), height / 2 - 3);
  }
}

// Draws the ticks of the axis through a lane, and the time after the end of the video in grey.
function drawGrid(pen, width, height) {
  const x = scale(width);
  const step = tick(width);
  pen.fillStyle = theme.shade;
  for (let i = Math.ceil(view.start / step); i * step <= view.end; i += 1) pen.fillRect(Math.min(width - 1, x(i * step)), 0, 1, height);
  if (view.extent > view.video.duration + 0.01) {
    fill(pen, theme.shade, 1, x(view.video.duration), 0, x(view.extent) - x(view.video.duration), height);
  }
}

function drawWhole(pen, width, height) {
  drawStrip(pen, view.video, width, height);
  const x = scale(width, 0, view.extent);
  const [left, right] = [x(view.start), x(view.end)];
  fill(pen, theme.surface, 0.7, 0, 0, left, height);
  fill(pen, theme.surface, 0.7, right, 0, width - right, height);
  pen.strokeStyle = theme["ink-soft"];
  pen.lineWidth = 1;
  pen.beginPath();
  pen.roundRect(left + 0.5, 0.5, Math.max(3, right - left - 1), height - 1, 4);
  pen.stroke();
}

// Draws a whole video: ground truth above, predictions below.
function drawStrip(pen, video, width, height) {
  const x = scale(width, 0, video === view.video ? view.extent : video.duration || 1);
  const half = Math.floor(height / 2);
  fill(pen, theme.shade, 1, 0, 0, width, height, 3);
  const worstFirst = video.predictions.filter((row) => row[3] >= view.least).reverse();
  for (const [label, start, end, score] of worstFirst) {
    const [left, wide] = stretch({ start, end }, x);
    const top = video.truth ? half + 1 : 2;
    fill(pen, colourOf(label), strength(score), left, top, wide, height - top - 2);
  }
  for (const [label, start, end] of video.truth || []) {
    fill(pen, colourOf(label), 1, ...stretch({ start, end }, x).flatMap((n, i) => (i ? [n] : [n, 2])), half - 2);
  }
}

// Draws a curve in steps of one snippet, or of several (their maximum) if snippets are thinner than half a pixel.
// The area above zero is filled.
function drawCurve(pen, curve, low, high, colour, width, top, height) {
  const x = scale(width);
  const group = Math.max(1, Math.floor(((view.end - view.start) * index.snippets_per_second) / (2 * width)));
  const y = (value) => top + height - ((value / 1000 - low) / (high - low || 1)) * height;
  const base = y(1000 * Math.max(0, low));
  const first = Math.max(0, Math.floor(snippetAt(view.start) / group) * group);
  const line = new Path2D();
  const area = new Path2D();
  let open = false;
  for (let i = first; i < curve.length && timeOf(i) <= view.end; i += group) {
    const values = curve.slice(i, i + group).filter((value) => value !== null);
    const [left, right] = [x(timeOf(i)), x(timeOf(Math.min(i + group, curve.length)))];
    const at = values.length ? y(Math.max(...values)) : null;
    if (at !== null) {
      if (open) line.lineTo(left, at);
      else line.moveTo(left, at);
      line.lineTo(right, at);
      if (at < base) area.rect(left, at, right - left, base - at);
    }
    open = at !== null;
  }
  pen.fillStyle = theme.line;
  if (low < 0) pen.fillRect(0, Math.round(base), width, 1);
  pen.globalAlpha = 0.2;
  pen.fillStyle = colour;
  pen.fill(area);
  pen.globalAlpha = 1;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.4;
  pen.lineJoin = "round";
  pen.stroke(line);
}

function drawAction(pen, width, lane) {
  const x = scale(width);
  const colour = colourOf(lane.label);
  const height = rowHeight(lane.bars);
  for (const segment of lane.truth) {
    const [left, wide] = stretch(segment, x);
    fill(pen, colour, 0.11, left, 0, wide, HEIGHTS.action);
    fill(pen, colour, 1, left, TRUTH.top, wide, TRUTH.height);
  }
  drawCurve(pen, lane.curve, ...lane.range, colour, width, CURVE.top, CURVE.height);
  for (const { segment, row } of lane.bars) {
    const [left, wide] = stretch(segment, x);
    fill(pen, colour, strength(segment.score), left, FOUND.top + row * height, wide, height - Math.min(2, height / 4), 3);
  }
  for (const segment of new Set([view.hovered, view.chosen])) {
    const place = segment && segment.label === lane.label && placeOf(segment, lane);
    if (!place) continue;
    const [left, wide] = stretch(segment, x);
    pen.strokeStyle = theme.ink;
    pen.lineWidth = segment === view.chosen ? 2 : 1.25;
    pen.beginPath();
    pen.roundRect(left - 0.5, place.top - 0.5, wide + 1, place.height + 1, 3);
    pen.stroke();
  }
}

// Returns the top and height of a segment in its lane; undefined if the slider hides it.
function placeOf(segment, lane) {
  if (isTruth(segment)) return TRUTH;
  const bar = lane.bars.find((each) => each.segment === segment);
  const height = rowHeight(lane.bars);
  return bar && { top: FOUND.top + bar.row * height, height: height - Math.min(2, height / 4) };
}

// Returns the segment at a point of a lane: a prediction, or the ground truth above them.
function segmentAt(lane, left, top, width) {
  const x = scale(width);
  const covers = (segment) => {
    const [from, wide] = stretch(segment, x);
    return left >= from - 1 && left <= from + wide + 1;
  };
  if (top < FOUND.top) return lane.truth.find(covers) || null;
  const row = Math.floor((top - FOUND.top) / rowHeight(lane.bars));
  const bar = lane.bars.find((each) => each.row === row && covers(each.segment));
  return bar ? bar.segment : null;
}

// Draws frames side by side, each the nearest in time to the middle of its place.
function drawFrames(pen, width, height, frames) {
  const shape = frames.find((frame) => frame.image.naturalWidth > 0);
  if (!shape) return;
  const wide = ((height - 4) * shape.image.naturalWidth) / shape.image.naturalHeight;
  const span = (wide / width) * (view.end - view.start);
  const x = scale(width);
  for (let i = Math.floor(view.start / span); i * span < Math.min(view.end, view.video.duration); i += 1) {
    const { image } = frameAt(frames, (i + 0.5) * span);
    if (image.complete && image.naturalWidth > 0) pen.drawImage(image, x(i * span) + 0.5, 2, wide - 1, height - 4);
  }
}

const frameAt = (frames, time) =>
  frames.reduce((near, frame) => (Math.abs(frame.time - time) < Math.abs(near.time - time) ? frame : near));
