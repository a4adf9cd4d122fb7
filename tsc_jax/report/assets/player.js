// Plays the reader's own files of the videos; the cursor follows. Nothing leaves the page.

const player = byId("player");
const files = new Map(); // from the place of a video to its file
let played = null; // the file in the player

const nameOf = (path) => path.split("/").pop().normalize("NFC");

// Returns the place of the video that a file is named after, the shown one if there are several; undefined if there is none.
function placeOfFile(file) {
  const name = nameOf(file.name);
  const names = [name, name.replace(/\.[^.]*$/, "")];
  const places = [view.place, ...index.videos.keys()];
  return places.find((place) => names.includes(nameOf(index.videos[place].name)));
}

// Opens files: each for the video of its name. A single file of another name is for the shown video.
function openFiles(chosen) {
  const places = chosen.map(placeOfFile);
  if (chosen.length === 1 && places[0] === undefined) places[0] = view.place;
  places.forEach((place, i) => place === undefined || files.set(place, chosen[i]));
  const strange = chosen.filter((_, i) => places[i] === undefined).map((file) => file.name);
  const found = places.filter((place) => place !== undefined);
  if (found.length && !found.includes(view.place)) show(Math.min(...found));
  else load();
  if (strange.length) say(`${counted(strange.length, "file")} named after no video: ${strange.slice(0, 3).join(", ")}${strange.length > 3 ? " \u2026" : ""}`);
}

// Puts the file of the shown video into the player.
function load() {
  const file = files.get(view.place) || null;
  if (file === played) return;
  if (played) URL.revokeObjectURL(player.src);
  played = file;
  player.hidden = !file;
  say(file ? file.name : "");
  if (file) player.src = URL.createObjectURL(file);
  else player.removeAttribute("src");
  player.load();
}

const say = (text) => (byId("told").textContent = text);

// Returns the time of the picture in seconds, null without a file.
const playedTime = () => (played ? player.currentTime : null);

function seek(time, plays) {
  if (!played) return;
  player.currentTime = time;
  if (plays) player.play().catch(() => {}); // the event "error" tells
}

function togglePlay() {
  if (player.paused) seek(player.currentTime, true);
  else player.pause();
}

// Moves the cursor to the picture, and the window where the picture leaves it.
let followed = 0;
function follow() {
  const time = playedTime();
  const wasInside = followed >= view.start && followed <= view.end;
  if (time !== null && time > view.end && wasInside) {
    setWindow(time, view.end - view.start, 0);
    redraw();
  } else drawCursor();
  followed = time;
  if (!player.paused) requestAnimationFrame(follow);
}

function onSeeked() {
  followed = player.currentTime;
  if (followed < view.start || followed > view.end) setWindow(followed, view.end - view.start, 0.1);
  redraw();
}

function onMetadata() {
  const { duration } = view.video;
  if (Math.abs(player.duration - duration) > 2) say(`${played.name} lasts ${clock(player.duration, true)}, this video ${clock(duration, true)}`);
}

function listenToPlayer() {
  byId("files").addEventListener("change", (event) => {
    openFiles([...event.target.files]);
    event.target.value = ""; // so that the same file can be chosen again
  });
  player.addEventListener("play", follow);
  player.addEventListener("seeked", onSeeked);
  player.addEventListener("loadedmetadata", onMetadata);
  player.addEventListener("error", () => played && say(`This browser cannot play ${played.name}. Most play MP4 (H.264) and WebM.`));
}
