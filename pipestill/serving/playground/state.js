/* What the page shows, as its address says it: behind the `#`, which no browser sends to a server. */

/* A state: {study, models, seed, example, inputs, options, asked}; whatever an address leaves out is absent. */
export function read(hash = location.hash) {
  const said = new URLSearchParams(hash.slice(1));
  const part = (prefix) =>
    Object.fromEntries(
      [...said].filter(([name]) => name.startsWith(prefix)).map(([name, text]) => [name.slice(prefix.length), text]),
    );
  return {
    study: said.get("study"),
    models: said.getAll("model"),
    seed: said.get("seed") ?? "",
    example: Number(said.get("example")) || null,
    inputs: part("in."),
    options: part("option."),
    asked: said.has("asked"),
  };
}

const LONGEST = 100_000; // characters of inputs that an address holds

/* The address of a state: an example stands for its inputs, and what is empty or too long for it is left out. */
export function address(state) {
  const said = new URLSearchParams({ study: state.study });
  for (const model of state.models) said.append("model", model);
  if (state.seed) said.set("seed", state.seed);
  const texts = Object.entries(state.inputs).filter(([, text]) => text);
  const fits = texts.reduce((length, [, text]) => length + text.length, 0) <= LONGEST;
  if (state.example) said.set("example", state.example);
  else if (fits) for (const [name, text] of texts) said.set("in." + name, text);
  for (const [name, text] of Object.entries(state.options)) if (text) said.set("option." + name, text);
  if (state.asked) said.set("asked", "yes");
  return "#" + said;
}

/* Write a state into the address. What was asked stays a step of its own, for the button that goes back, unless the
state is only another way to write it. */
export function write(state, same = false) {
  const next = address(state);
  if (next === location.hash) return;
  if (read().asked && !same) history.pushState(null, "", next);
  else history.replaceState(null, "", next);
}
