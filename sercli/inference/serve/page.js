"use strict";

const settings = JSON.parse(document.body.dataset.settings);
const part = (name) => document.getElementById(name);

let shown = null; // the answer that is drawn
let latest = 0; // number of the newest request: answers to others are dropped

// ---- classify ----

/** Send a recording, and show the answer or the reason why there is none. */
async function classify(recording, name) {
  const number = ++latest;
  clear();
  if (recording.size > settings.largest) {
    return refuse(name, `larger than ${settings.largest / 1e6} MB`);
  }
  part("status").textContent = `Classifying ${name} …`;
  let answer;
  try {
    const headers = { "content-type": "application/octet-stream" };
    const response = await fetch("classify", { method: "POST", body: recording, headers });
    answer = await response.json();
  } catch {
    answer = { error: "no answer: is `sercli serve` still running, and the file still there?" };
  }
  if (number !== latest) return;
  if (answer.error) return refuse(name, answer.error);
  show(answer, recording, name);
}

function clear() {
  shown = null;
  part("result").hidden = true;
  part("status").textContent = part("error").textContent = "";
}

function refuse(name, reason) {
  part("status").textContent = "";
  part("error").textContent = `${name}: ${reason}`;
}

// ---- show ----

function show(answer, recording, name) {
  shown = answer;
  part("status").textContent = `${name}: ${answer.seconds.toFixed(1)} s`;
  part("predicted").textContent = answer.predicted;
  URL.revokeObjectURL(part("player").src);
  part("player").src = URL.createObjectURL(recording);
  const classes = Object.entries(answer.p).sort((one, other) => other[1] - one[1]);
  part("probabilities").replaceChildren(...classes.map(([label, p]) => row(label, p, answer)));
  part("caption").textContent = caption(answer);
  const notes = [...answer.notes, `Normalisation: ${answer.normalisation}.`];
  part("notes").replaceChildren(...notes.map((text) => made("li", { textContent: text })));
  part("result").hidden = false;
  draw();
  part("result").focus({ preventScroll: true });
}

function made(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function row(label, p, answer) {
  const bar = made("div", { className: "bar" });
  bar.style.width = `${100 * p}%`;
  return made("tr", { className: label === answer.predicted ? "first" : "" },
    made("th", { scope: "row", textContent: label }),
    made("td", { className: "number", textContent: (100 * p).toFixed(1) }),
    made("td", {}, bar));
}

function caption(answer) {
  const start = "Log-mel spectrogram to 8 kHz; time in seconds.";
  if (!answer.attention) return `${start} This model has no attention over time.`;
  const most = Math.max(...answer.attention);
  const time = answer.step_seconds * (answer.attention.indexOf(most) + 0.5);
  return `${start} Line: attention weight of each step of ${Math.round(1000 * answer.step_seconds)} ms, `
    + `largest at ${time.toFixed(2)} s (${(100 * most).toFixed(1)} %). A state depends on other steps `
    + "too, so that a weight does not show which sound mattered.";
}

// ---- draw ----

const AXIS = 22; // pixels of the labels below

function draw() {
  if (!shown) return;
  const canvas = part("spectrogram");
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.drawImage(image(shown.spectrogram), 0, 0, width, height - AXIS);
  drawAxis(pen, width, height);
  if (shown.attention) drawAttention(pen, width, height - AXIS);
}

/** Return the colour of a custom property as three numbers. */
function colour(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

/** Levels between paper and ink, as a canvas of one pixel each. */
function image({ width, height, levels }) {
  const canvas = made("canvas", { width, height });
  const pen = canvas.getContext("2d");
  const pixels = pen.createImageData(width, height);
  const bytes = atob(levels);
  const [paper, ink] = [colour("--paper"), colour("--ink")];
  for (let at = 0; at < bytes.length; at++) {
    const level = bytes.charCodeAt(at) / 255;
    for (let c = 0; c < 3; c++) pixels.data[4 * at + c] = paper[c] + level * (ink[c] - paper[c]);
    pixels.data[4 * at + 3] = 255;
  }
  pen.putImageData(pixels, 0, 0);
  return canvas;
}

function drawAxis(pen, width, height) {
  const seconds = shown.spectrogram.width * shown.spectrogram.step;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60].find((each) => (each / seconds) * width > 55) ?? 120;
  pen.fillStyle = `rgb(${colour("--soft")})`;
  pen.font = `12px ${getComputedStyle(part("input")).fontFamily}`;
  pen.textAlign = "center";
  for (let tick = 0; tick * step <= seconds; tick++) {
    const x = (tick * step / seconds) * width;
    pen.fillRect(x, height - AXIS, 1, 5);
    const label = (tick * step).toFixed(step < 1 ? 1 : 0);
    pen.fillText(label, Math.min(Math.max(x, 8), width - 10), height - 4);
  }
}

function drawAttention(pen, width, height) {
  const seconds = shown.spectrogram.width * shown.spectrogram.step;
  const most = Math.max(...shown.attention);
  for (const [name, thickness] of [["--paper", 5], ["--line", 2]]) {
    pen.strokeStyle = `rgb(${colour(name)})`;
    pen.lineWidth = thickness;
    pen.lineJoin = "round";
    pen.beginPath();
    shown.attention.forEach((weight, at) => {
      const x = ((at + 0.5) * shown.step_seconds / seconds) * width;
      pen.lineTo(x, (height - 4) * (1 - weight / most) + 3);
    });
    pen.stroke();
  }
}

window.addEventListener("resize", draw);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

// ---- files ----

part("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file) classify(file, file.name);
  target.value = ""; // the same file can be chosen again
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  part("input").classList.add("over");
});
document.addEventListener("dragleave", () => part("input").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault(); // else the browser leaves the page for the file
  part("input").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) classify(file, file.name);
});

// ---- record ----

let recording = null; // { chunks, samples, context, stream }

part("record").addEventListener("click", () => (recording ? stop() : start()));

async function start() {
  latest++;
  clear();
  part("record").disabled = true;
  try {
    // As the microphone hears it: browsers would filter noise and change the level.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const context = new AudioContext();
    await context.audioWorklet.addModule("recorder.js");
    const node = new AudioWorkletNode(context, "recorder");
    recording = { chunks: [], samples: 0, context, stream };
    node.port.onmessage = ({ data }) => take(data);
    context.createMediaStreamSource(stream).connect(node).connect(context.destination);
    part("record").textContent = "Stop";
    part("record").setAttribute("aria-pressed", "true");
    part("status").textContent = "Recording …";
  } catch (error) {
    refuse("microphone", error.message);
  }
  part("record").disabled = false;
}

function take(samples) {
  if (!recording) return;
  recording.chunks.push(samples);
  recording.samples += samples.length;
  const seconds = recording.samples / recording.context.sampleRate;
  if (seconds >= settings.seconds) stop();
  else part("record").textContent = `Stop (${seconds.toFixed(1)} s)`;
}

function stop() {
  const { chunks, context, stream } = recording;
  recording = null;
  for (const track of stream.getTracks()) track.stop();
  context.close();
  part("record").textContent = "Record";
  part("record").setAttribute("aria-pressed", "false");
  classify(wav(chunks, context.sampleRate), "recording");
}

/** Return samples as a WAV file: one channel, 16 bits. */
function wav(chunks, rate) {
  const samples = chunks.flatMap((chunk) => [...chunk]);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // size of the format
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true); // bytes per second
  view.setUint16(32, 2, true); // bytes per frame
  view.setUint16(34, 16, true); // bits
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, at) => view.setInt16(44 + 2 * at, 32767 * Math.max(-1, Math.min(1, x)), true));
  return new Blob([view], { type: "audio/wav" });
}
