/* JSON on lines of its own, each literal as it was written: `1.0` stays `1.0`. */

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;

/* Throws a SyntaxError for what is no JSON. */
export function pretty(text) {
  JSON.parse(text);
  let found = "";
  let depth = 0;
  let before = "";
  const line = () => "\n" + "  ".repeat(depth);
  for (const [token] of text.matchAll(TOKENS)) {
    if ("]}".includes(token)) {
      depth -= 1;
      if (!"[{".includes(before)) found += line();
    } else if (before === ",") found += line();
    else if ("[{".includes(before) && before) found += line();
    found += token === ":" ? ": " : token;
    if ("[{".includes(token)) depth += 1;
    before = token;
  }
  return found;
}
