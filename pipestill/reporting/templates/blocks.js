"use strict";

/* One element with classes and text; nothing here is ever read as markup. */
function make(tag, name, content) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (content !== undefined) element.textContent = content;
  return element;
}

/* Text as people see it: other control characters by their pictures, in a direction of its own. */
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f]/g, (each) => String.fromCharCode(0x2400 + each.charCodeAt(0)));
}

function prose(tag, name, content) {
  const element = make(tag, name, content === undefined ? undefined : visible(content));
  element.dir = "auto";
  return element;
}

const DRAW = {
  text: (runs) => runsIn(prose("p", "words"), runs),
  code: (runs) => runsIn(prose("pre", "words"), runs),
  note: (sentence, tone) => prose("p", "said " + tone, sentence),
  bars: (rows) => {
    const table = make("table", "bars");
    for (const [name, share, gold] of rows) {
      const row = table.insertRow();
      row.append(prose("th", gold ? "gold" : "", name + (gold ? " (reference)" : "")));
      const bar = make("div", "bar");
      bar.style.width = 100 * share + "%";
      row.insertCell().append(bar);
      row.append(make("td", "num", share.toFixed(3)));
    }
    return table;
  },
};

function runsIn(element, runs) {
  for (const [text, mark] of runs) {
    element.append(mark === 0 ? visible(text) : make(mark > 0 ? "ins" : "del", "", visible(text)));
  }
  if (!runs.some(([text]) => text.trim())) element.append(make("em", "", "(nothing)"));
  return element;
}

function drawn(blocks) {
  return blocks.map(([kind, ...rest]) => DRAW[kind](...rest));
}
