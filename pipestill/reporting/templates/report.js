function textOf(example) {
  const parts = [example.id, ...example.prompts];
  for (const blocks of [example.reference, ...example.answers.map((answer) => answer.blocks)]) {
    for (const [kind, content] of blocks) {
      if (kind === "note") parts.push(content);
      else if (kind !== "bars") parts.push(content.map(([text]) => text).join(""));
    }
  }
  return parts.join("\n").toLowerCase();
}

class Browser {
  constructor(root) {
    this.root = root;
    this.data = JSON.parse(root.querySelector(".data").textContent);
    this.texts = this.data.examples.map(textOf);
    this.place = 0;
    this.part = (name) => root.querySelector("." + name);
    this.part("previous").addEventListener("click", () => this.go(-1));
    this.part("next").addEventListener("click", () => this.go(1));
    for (const name of ["wanted", "method", "differs"]) {
      this.part(name).addEventListener("input", () => this.filter());
    }
    root.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1 };
      const typing = ["INPUT", "SELECT"].includes(event.target.tagName) && event.target.type !== "checkbox";
      if (!(event.key in steps) || typing || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.go(steps[event.key]);
    });
    this.part("tools").hidden = false;
    this.filter();
  }

  filter() {
    const wanted = this.part("wanted").value.trim().toLowerCase();
    const method = this.part("method").value;
    const differs = this.part("differs").checked;
    this.found = [...this.data.examples.keys()].filter((index) => {
      const example = this.data.examples[index];
      const apart = method === "" ? example.differs : example.answers[method].other;
      return this.texts[index].includes(wanted) && (!differs || apart);
    });
    this.place = 0;
    this.draw();
  }

  go(step) {
    const next = this.place + step;
    if (next < 0 || next >= this.found.length) return;
    this.place = next;
    this.draw();
  }

  draw() {
    const many = this.found.length;
    this.part("count").textContent = many ? `${this.place + 1} of ${many}` : "none";
    this.part("previous").disabled = this.place === 0;
    this.part("next").disabled = this.place + 1 >= many;
    this.part("shown").replaceChildren(...(many ? this.example(this.data.examples[this.found[this.place]]) : []));
  }

  example(example) {
    const chosen = this.part("method").value;
    const facts = [example.set, example.drawn ? "drawn" : "methods differ", example.id];
    const head = make("div", "question");
    const asked = make("div");
    for (const [index, prompt] of example.prompts.entries()) {
      asked.append(make("h4", "", index ? `Prompt ${index + 1}` : "Prompt"), prose("pre", "words", prompt));
    }
    const gold = make("div");
    gold.append(make("h4", "", "Reference"), ...drawn(example.reference));
    head.append(prose("p", "note", facts.filter(Boolean).join(" · ")), ...(example.prompts.length ? [asked] : []), gold);
    const answers = make("div", "answers");
    for (const [index, answer] of example.answers.entries()) {
      if (chosen !== "" && Number(chosen) !== index) continue;
      const card = make("article", this.data.reference[index] ? "answer reference" : "answer");
      const title = make("h4", "", this.data.methods[index]);
      title.append(make("span", "score", `${this.data.score} ${answer.score}`));
      card.append(title);
      if (answer.prompt) card.append(make("p", "note", `asked with prompt ${answer.prompt + 1}`));
      card.append(...drawn(answer.blocks));
      answers.append(card);
    }
    return [head, answers];
  }
}

for (const root of document.querySelectorAll(".browser")) new Browser(root);

/* What a link of the page goes to, or print shows, is unfolded. */
function unfold() {
  let element = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = element; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  if (element) element.scrollIntoView();
}
addEventListener("hashchange", unfold);
unfold();
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const each of folded) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of folded) each.open = false;
});

/* The link of the section that is read is marked. */
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(target.id).setAttribute("aria-current", "true");
    }
  },
  { rootMargin: "-20% 0px -75% 0px" },
);
for (const id of links.keys()) watcher.observe(document.getElementById(id));
