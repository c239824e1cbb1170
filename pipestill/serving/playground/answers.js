/* What a model answered, as a card beside the others. */

import { pretty } from "./pretty.js";
import { call } from "./server.js";

const SHAPES = { json: laidOut, code: (text) => [["code", [[text, 0]]]] }; // of answers that are no running text

/* A text as answers of this kind are shown. */
function shape(kind, text) {
  return (SHAPES[kind] ?? ((words) => [["text", [[words, 0]]]]))(text);
}

function laidOut(text) {
  try {
    return [["code", [[pretty(text), 0]]]];
  } catch {
    return [["code", [[text, 0]]]];
  }
}

/* What a test example is compared with. */
export function reference(kind, references, shown) {
  const card = make("article", "answer reference");
  const [first, ...others] = references;
  card.append(make("h2", "", "Reference"), ...drawn(shown ?? shape(kind, first)));
  if (!shown) card.append(...others.map((each) => prose("p", "said", "or: " + each)));
  else card.append(marks());
  return card;
}

/* What the marks in the answers beside it mean. */
function marks() {
  const note = make("p", "said facts");
  note.append(make("ins", "", "Underlined"), ": not in it. ", make("del", "", "Struck out"), ": only in it.");
  return note;
}

export class Card {
  /* `seed` is the run that is asked; none: the first. */
  constructor(experiment, seed) {
    this.experiment = experiment;
    this.seed = seed ?? Math.min(...experiment.seeds);
    this.element = make("article", "answer");
    this.title = make("h2", "", experiment.title);
    this.title.append(make("span", "score", `${experiment.experiment}, seed ${this.seed}`));
    this.content = make("div");
    this.element.append(this.title, this.content);
  }

  /* One sentence in place of the answer. */
  say(sentence, tone = "") {
    this.content.replaceChildren(prose("p", "said " + tone, sentence));
  }

  /* Wait in words, and say what for. */
  wait() {
    const loaded = this.experiment.loaded.includes(this.seed);
    this.say(loaded ? "The model is working …" : "The model is loading, and answers then …");
    this.content.firstChild.classList.add("waiting");
  }

  /* Draw a reply; `references` are those of an example, to which `judge` compares it (none for labels). */
  async draw(kind, { body, headers, ms }, references, judge) {
    const main = make("div");
    main.append(...drawn(told(kind, body, references)));
    const facts = prose("p", "said facts", cost(headers, ms));
    const notes = said(body, headers, judge).map(([sentence, tone]) => prose("p", "said " + tone, sentence));
    this.content.replaceChildren(...before(body), main, ...notes, facts);
    if (!judge || body.probabilities) return null;
    const waiting = prose("p", "said waiting", "The answer is being compared …");
    main.after(waiting);
    try {
      const { body: judged } = await judge(body.prediction);
      main.replaceChildren(...drawn(judged.answer));
      const scores = judged.scores.map(({ title, text }) => `${title} ${text}`).join(" · ");
      waiting.replaceWith(prose("p", "said scores", scores));
      return judged.reference;
    } catch (error) {
      if (error.name !== "AbortError") waiting.replaceWith(prose("p", "said", error.message));
      else waiting.remove();
      return null;
    }
  }
}

function told(kind, body, references) {
  if (!body.probabilities) return shape(kind, body.prediction);
  const gold = references?.[0];
  const right = body.prediction === gold;
  const rows = Object.entries(body.probabilities).map(([name, share]) => [name, share, name === gold]);
  return [
    ["text", [[body.prediction, references && !right ? 1 : 0]]],
    ...(references ? [["note", right ? "right" : "wrong", right ? "good" : "bad"]] : []),
    ["bars", rows.sort((one, other) => other[1] - one[1])],
  ];
}

/* What was written before the answer, folded. */
function before(body) {
  if (!body.rationale) return [];
  const fold = make("details");
  fold.append(make("summary", "", "Written before the answer"), prose("pre", "words", body.rationale));
  return [fold];
}

/* Sentences about a reply. */
function said(body, headers, judge) {
  const found = (body.faults ?? []).map((fault) => [fault, "bad"]);
  if (body.faults?.length === 0 && !judge) found.push(["valid by its schema", "good"]);
  if (body.repeats) found.push(["The answer repeats itself and was cut.", "bad"]);
  if (headers.get("X-Pipestill-Cropped")) found.push(["The input was too long: its end was not read.", "bad"]);
  return found;
}

/* How long it took, and how much was read and written. */
function cost(headers, ms) {
  const parts = [...(headers.get("Server-Timing") ?? "").matchAll(/([\w-]+);dur=([\d.]+)/g)];
  const spent = parts.map(([, name, duration]) => `${name} ${time(Number(duration))}`).join(", ");
  const [read, written] = ["Prompt", "Answer"].map((part) => headers.get(`X-Pipestill-${part}-Tokens`));
  return [
    time(ms) + (spent ? ` (${spent})` : ""),
    ...(read === null ? [] : [`${read} tokens read${Number(written) ? `, ${written} written` : ""}`]),
  ].join(" · ");
}

function time(ms) {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/* The judge of an example of a study, for `draw`. */
export function judge(study, example, signal) {
  return (prediction) => call(`judge/${encodeURIComponent(study)}`, { body: { example, prediction }, signal });
}
