/* The page: a state in its address, a form that shows it, and answers to it. */

import { Card, judge, reference } from "./answers.js";
import { fill, given, inputs, options, set, values } from "./question.js";
import { call } from "./server.js";
import * as address from "./state.js";

const part = (id) => document.getElementById(id);
const models = [...document.querySelectorAll(".model")];
const PAUSE = 300; // ms after which what is typed is in the address

class Playground {
  constructor(studies) {
    this.studies = studies;
    this.example = null; // the test example whose inputs stand in the form
    this.loading = Promise.resolve(); // of an example
    this.running = null; // what stops the calls that run
    fill(part("study"), studies.map(({ study, title }) => [study, title]));
    this.listen();
    part("ask").hidden = false;
    this.restore();
  }

  listen() {
    part("study").addEventListener("change", () => this.choose(part("study").value));
    for (const control of [...models, part("seed"), part("options")]) {
      control.addEventListener("input", () => this.changed());
    }
    part("inputs").addEventListener("input", () => {
      this.forget();
      this.changed();
    });
    part("number").addEventListener("change", () => this.load(part("number").valueAsNumber || 1));
    part("previous").addEventListener("click", () => this.load((this.example?.number ?? 2) - 1));
    part("next").addEventListener("click", () => this.load((this.example?.number ?? 0) + 1));
    part("draw").addEventListener("click", () => this.load(null));
    part("empty").addEventListener("click", () => this.own());
    part("stop").addEventListener("click", () => this.running?.abort());
    part("link").addEventListener("click", () => this.copy());
    part("link").hidden = !navigator.clipboard;
    part("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    addEventListener("keydown", (event) => {
      const wanted = event.key === "Enter" && (event.ctrlKey || event.metaKey || event.target.tagName === "SELECT");
      if (!wanted || part("login").open) return;
      event.preventDefault();
      part("ask").requestSubmit();
    });
    addEventListener("popstate", () => this.restore());
  }

  get study() {
    return this.studies.find(({ study }) => study === part("study").value);
  }

  /* The experiments that are asked, each once, in the order in which they are chosen. */
  get chosen() {
    const names = [...new Set(models.map(({ value }) => value))].filter(Boolean);
    return names.map((name) => this.study.experiments.find(({ experiment }) => experiment === name));
  }

  /* What the form says. */
  state(asked) {
    return {
      study: part("study").value,
      models: models.map(({ value }) => value).filter(Boolean),
      seed: part("seed").value,
      example: this.example?.number,
      inputs: values(part("inputs")),
      options: values(part("settings")),
      asked,
    };
  }

  /* Show what the address says, and ask again what was asked. */
  restore() {
    const state = address.read();
    const known = this.studies.some(({ study }) => study === state.study);
    this.stop();
    part("study").value = known ? state.study : this.studies[0].study;
    this.build(state.models, state.seed);
    set(part("inputs"), state.inputs);
    set(part("settings"), state.options);
    this.count();
    this.forget();
    part("results").replaceChildren();
    const lost = state.models.filter((name) => !this.study.experiments.some(({ experiment }) => experiment === name));
    this.say(state.study && !known ? `There is no study ${state.study} here.` : "");
    if (known && lost.length) this.say(`There is no ${lost.join(" and no ")} here.`);
    if (state.example || !state.study) this.load(state.example ?? 1, false);
    else this.loading = Promise.resolve();
    if (state.asked) this.ask(true);
  }

  /* Take another study, with its first example. */
  choose() {
    this.stop();
    this.build([], "");
    this.forget();
    part("results").replaceChildren();
    this.say("");
    this.load(1);
  }

  /* Build what depends on the study. */
  build(names, seed) {
    const { study } = this;
    const all = study.experiments.map(({ experiment, title, metric }) => {
      return [experiment, metric ? `${title} (${metric.title} ${metric.mean.toFixed(metric.decimals)})` : title];
    });
    const several = all.length > 2 ? [all[1][0], all[all.length - 1][0]] : all.map(([name]) => name);
    const wanted = names.length ? names : several;
    for (const [place, control] of models.entries()) {
      fill(control, place ? [["", "none"], ...all] : all, wanted[place] ?? "");
      control.parentElement.hidden = place >= all.length;
    }
    const seeds = [...new Set(study.experiments.flatMap((each) => each.seeds))].sort((one, other) => one - other);
    fill(part("seed"), [["", "first"], ...seeds.map((each) => [String(each), `seed ${each}`])], seed);
    part("inputs").replaceChildren(...inputs(study));
    part("settings").replaceChildren(...options(study.options));
    part("options").hidden = !part("settings").children.length;
    for (const id of ["number", "draw", "previous", "next"]) part(id).disabled = !study.examples;
    part("number").max = study.examples;
    part("of").textContent = `of ${study.examples}`;
    this.count();
  }

  /* Say how many options are set. */
  count() {
    const many = Object.keys(given(part("settings"))).length;
    part("set").textContent = many ? `: ${many} set` : "";
  }

  /* What was typed or chosen is in the address; answers that are there are no answers to it. */
  changed() {
    this.count();
    if (part("results").children.length) {
      part("results").classList.add("old");
      this.say("The answers below are to what was asked before.");
    }
    clearTimeout(this.writing);
    this.writing = setTimeout(() => this.write(false), PAUSE);
  }

  write(asked, same = false) {
    clearTimeout(this.writing);
    address.write(this.state(asked), same);
  }

  /* The inputs are no test example any longer. */
  forget() {
    this.example = null;
    part("number").value = part("about").textContent = "";
  }

  /* Empty inputs, to be filled by hand. */
  own() {
    set(part("inputs"), {});
    this.forget();
    this.changed();
    part("inputs").querySelector("[name]").focus();
  }

  /* Show a test example: the one with a number, or any. */
  load(number, typed = true) {
    const { study, examples } = this.study;
    if (!examples) return;
    const path = `studies/${encodeURIComponent(study)}/examples`;
    const drawn = `${path}?draw=${Math.floor(Math.random() * 2 ** 31)}`;
    const place = number === null ? drawn : `${path}/${Math.min(Math.max(1, Math.trunc(number)), examples)}`;
    const own = call(place)
      .then(({ body }) => {
        if (this.loading !== own) return;
        this.example = body;
        part("number").value = body.number;
        part("about").textContent = [body.test_set, body.id].filter(Boolean).join(" · ");
        set(part("inputs"), { ...body.inputs, ...body.fields });
        if (typed) this.changed();
      })
      .catch((error) => {
        if (this.loading === own) this.say(error.message, true);
      });
    this.loading = own;
  }

  say(sentence, bad = false) {
    part("status").textContent = visible(sentence);
    part("status").classList.toggle("bad", bad);
  }

  stop() {
    this.running?.abort();
    this.running = null;
  }

  /* Ask the chosen models, all at once; `again` for what the address says already. */
  async ask(again = false) {
    this.stop();
    const running = new AbortController();
    this.running = running;
    await this.loading;
    if (this.running !== running) return;
    this.write(true, again);
    const { study, example } = this;
    const results = part("results");
    const cards = this.chosen.map((experiment) => {
      return new Card(experiment, experiment.seeds.find((seed) => String(seed) === part("seed").value));
    });
    const gold = example?.references?.length ? [reference(study.kind, example.references)] : [];
    this.say("");
    results.classList.remove("old");
    results.replaceChildren(...gold, ...cards.map(({ element }) => element));
    results.setAttribute("aria-busy", "true");
    part("stop").hidden = false;
    if (results.getBoundingClientRect().top > innerHeight - 80) results.scrollIntoView();
    const done = await Promise.all(cards.map((card) => this.answer(card, study, example, gold[0], running.signal)));
    if (this.running !== running) return;
    this.running = null;
    part("stop").hidden = true;
    results.removeAttribute("aria-busy");
    this.together(done.filter(Boolean), cards);
  }

  /* The answer of one model in its card; gives back what went wrong, if something did. */
  async answer(card, study, example, gold, signal) {
    const { experiment, loaded } = card.experiment;
    card.wait();
    const start = performance.now();
    try {
      const reply = await call(`infer/${encodeURIComponent(experiment)}?seed=${card.seed}`, { body: this.body(), signal });
      loaded.push(card.seed);
      const references = example?.references?.length ? example.references : null;
      const judged = references && judge(study.study, example.number, signal);
      const shown = await card.draw(study.kind, { ...reply, ms: performance.now() - start }, references, judged);
      if (shown) gold.replaceWith(reference(study.kind, references, shown));
      return null;
    } catch (error) {
      if (error.name === "AbortError") card.say("Stopped.");
      else card.say(error.message, "bad");
      return error.name === "AbortError" ? null : error;
    }
  }

  /* The body of a request: inputs, and the options that are set. */
  body() {
    return { ...values(part("inputs")), ...given(part("settings")) };
  }

  /* A fault that all have stands once, where it belongs: at its field, or above the answers. */
  together(faults, cards) {
    const sentences = new Set(faults.map((each) => each.message));
    if (sentences.size !== 1 || faults.length < cards.length) return;
    part("results").replaceChildren();
    this.say(faults[0].message, true);
  }

  async copy() {
    this.write(address.read().asked);
    await navigator.clipboard.writeText(location.href);
    this.say("The link is copied.");
  }
}

/* Start, or say why not. */
async function start() {
  part("again").hidden = true;
  part("status").textContent = "The server is asked what it has …";
  try {
    const { body } = await call("studies");
    part("status").textContent = "";
    if (body.length) new Playground(body);
    else part("status").textContent = "There is no model here yet: run the pipeline, then try again.";
    part("again").hidden = body.length > 0;
  } catch (error) {
    part("status").textContent = error.message;
    part("status").classList.add("bad");
    part("again").hidden = false;
  }
}

part("again").addEventListener("click", start);
start();
