// Draws the page for paper: light colours, and all videos below each other if they are not too many.

const PRINTED = 40; // videos

// Returns the open video as its name, pictures of its lanes, and its legend.
function onPaper() {
  for (const lane of lanes) drawLane(lane);
  const rows = [...byId("lanes").children].map((row) => {
    const image = make("img", { src: row.querySelector("canvas").toDataURL(), alt: "" });
    return make("div", { className: "lane" }, row.querySelector(".lane-name").cloneNode(true), image);
  });
  const name = make("h2", {}, view.video.name, " ", make("small", { textContent: clock(view.video.duration, true) }));
  const texts = ["shown", "legend", "hidden"].map((id) => {
    const text = byId(id).cloneNode(true);
    text.removeAttribute("id");
    return make("div", { className: `soft legend ${id}`, hidden: byId(id).hidden }, ...text.childNodes);
  });
  return make("section", {}, name, ...rows, ...texts);
}

function toPaper() {
  if (byId("paper").childElementCount) return;
  document.documentElement.classList.add("paper");
  readTheme();
  const { place, start, end, chosen, segments } = view;
  const pictures = frames;
  const open = (other) => {
    openVideo(other);
    frames = other === place ? pictures : [];
    if (other === place) Object.assign(view, { start, end, chosen: view.segments[segments.indexOf(chosen)] || null });
    arrange();
  };
  const places = index.videos.length > PRINTED ? [place] : index.videos.map((_, other) => other);
  const sections = places.map((other) => (open(other), onPaper()));
  open(place);
  const rest = `One of ${index.videos.length} videos; up to ${PRINTED} are printed together.`;
  byId("paper").replaceChildren(...sections, ...(places.length < index.videos.length ? [make("p", { textContent: rest })] : []));
}

function fromPaper() {
  document.documentElement.classList.remove("paper");
  byId("paper").replaceChildren();
  readTheme();
  redraw();
}
