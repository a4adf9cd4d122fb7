// The state of the page: all segments, the curves of one video, the window of time, and the lowest score shown.
"use strict";

window.addEventListener("error", (event) => {
  const problem = document.getElementById("problem");
  problem.textContent = `The timelines cannot be drawn: ${event.message}`;
  problem.hidden = false;
});

const byId = (id) => document.getElementById(id);
const index = JSON.parse(byId("index").textContent);
const best = Math.max(0, ...index.videos.map((video) => (video.predictions.length ? video.predictions[0][3] : 0)));

// start, end: in seconds; time: under the pointer, or null; hovered, chosen: segments, or null.
const view = { place: 0, video: null, curves: null, extent: 1, start: 0, end: 1, least: 0, time: null, hovered: null, chosen: null };

// Returns when a snippet starts, in seconds.
const timeOf = (snippet) => index.offset + snippet / index.snippets_per_second;

// Returns the snippet at a time in seconds.
const snippetAt = (time) => Math.floor((time - index.offset) * index.snippets_per_second);

function openVideo(place) {
  const video = index.videos[place];
  const curves = JSON.parse(byId(`curves-${place}`).textContent);
  const ends = [...(video.truth || []), ...video.predictions].map((segment) => segment[2]);
  const extent = ends.reduce((last, end) => Math.max(last, end), Math.max(video.duration, timeOf(curves.attention.length))) || 1;
  const segments = [
    ...(video.truth || []).map(([label, start, end]) => ({ label, start, end, score: null })),
    ...video.predictions.map(([label, start, end, score]) => ({ label, start, end, score })),
  ];
  Object.assign(view, { place, video, curves, extent, segments, start: 0, end: extent, time: null, hovered: null, chosen: null });
}

// The lowest position of the slider shows every score, also negative ones; so does every position if no score is positive.
function setLeast(percent) {
  view.least = percent > 0 && best > 0 ? (best * percent) / 100 : -Infinity;
}

const leastText = () => (Number.isFinite(view.least) ? digits(view.least, best < 1 ? 3 : 2) : "any");

const isTruth = (segment) => segment.score === null;
const isShown = (segment) => isTruth(segment) || segment.score >= view.least;

// Returns the lanes with ground truth or a prediction above the slider; at least one if the video has a lane.
function visibleLanes() {
  const lanes = view.video.lanes.filter((label) => view.segments.some((each) => each.label === label && isShown(each)));
  return lanes.length ? lanes : view.video.lanes.slice(0, 1);
}

// Shows the window of `span` seconds in which `time` is at `share` of the width.
function setWindow(time, span, share = 0.5) {
  const shortest = Math.min(view.extent, Math.max(1, 8 / index.snippets_per_second));
  const clipped = Math.min(view.extent, Math.max(shortest, span));
  const start = Math.min(view.extent - clipped, Math.max(0, time - share * clipped));
  Object.assign(view, { start, end: start + clipped });
}

function zoom(factor, time = (view.start + view.end) / 2) {
  const span = view.end - view.start;
  setWindow(time, span * factor, (time - view.start) / span);
}

const move = (seconds) => setWindow(view.start + seconds, view.end - view.start, 0);

// Returns the highest tIoU with the ground truth of the same class; null if the ground truth is unknown.
function overlapWithTruth(segment) {
  if (!view.video.truth || isTruth(segment)) return null;
  const tious = view.video.truth.filter(([label]) => label === segment.label).map(([, start, end]) => {
    const common = Math.min(end, segment.end) - Math.max(start, segment.start);
    const union = Math.max(end, segment.end) - Math.min(start, segment.start);
    return common > 0 && union > 0 ? common / union : 0;
  });
  return Math.max(0, ...tious);
}

const digits = (value, number) => value.toFixed(number).replace("-", "\u2212");

const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

// Returns a time as [h:]mm:ss, with tenths on request.
function clock(seconds, tenths = false) {
  const total = Math.round(seconds * 10) / 10;
  const whole = tenths ? Math.floor(total) : Math.round(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const fraction = tenths ? `.${Math.round(total * 10) % 10}` : "";
  const pad = (number) => String(number).padStart(2, "0");
  return `${hours ? `${hours}:${pad(minutes)}` : minutes}:${pad(whole % 60)}${fraction}`;
}

const describe = (segment) => {
  const tiou = overlapWithTruth(segment);
  return {
    kind: isTruth(segment) ? "ground truth" : `prediction, score ${digits(segment.score, 3)}`,
    times: `${clock(segment.start, true)} to ${clock(segment.end, true)} (${(segment.end - segment.start).toFixed(1)} s)`,
    overlap: tiou === null ? "" : `tIoU ${tiou.toFixed(2)} with the ground truth`,
  };
};

// Returns the value of a curve at a time; undefined outside the video and where it is not finite.
function valueAt(curve, time) {
  const value = curve[snippetAt(time)];
  return value === null || value === undefined ? undefined : value / 1000;
}
