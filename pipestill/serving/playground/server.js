/* Calls to the server, their faults as sentences, and the token that it may ask for. */

const TOKEN = "pipestill token"; // in the storage of the tab
const GONE = "The server does not answer. Is it still running? Start it with `pipestill serve`, then try again.";
const SILENT = "The server sent no answer that can be read.";

/* What is wrong, as one sentence; `status` is that of HTTP, and 0 where nothing came back. */
export class Problem extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/* Give back what a path of the server says, as `{body, headers}`; throws a Problem, or an AbortError when stopped. */
export async function call(path, { body, signal } = {}) {
  for (let refused = null; ; ) {
    const token = sessionStorage.getItem(TOKEN);
    const response = await send(path, body, token, signal);
    if (response.status === 401) {
      refused = token;
      if (await askToken(refused)) continue;
      throw new Problem(401, "The server answers with its token only.");
    }
    if (!response.ok) throw await problem(response);
    try {
      return { body: await response.json(), headers: response.headers };
    } catch (error) {
      throw signal?.aborted ? error : new Problem(0, error instanceof SyntaxError ? SILENT : GONE);
    }
  }
}

async function send(path, body, token, signal) {
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const how = { headers, signal, cache: "no-store" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(how, { method: "POST", body: JSON.stringify(body) });
  }
  try {
    return await fetch(path, how);
  } catch (error) {
    throw signal?.aborted ? error : new Problem(0, GONE);
  }
}

async function problem(response) {
  const about = await response.json().catch(() => ({}));
  const sentence = String(about?.detail || `the server answered with ${response.status}`);
  return new Problem(response.status, sentence.replace(/^[a-z]/, (first) => first.toUpperCase()).replace(/([^.?!])$/, "$1."));
}

let asking = null; // one dialog for all calls that wait for it

/* Ask for the token, unless another call did meanwhile; gives back whether there is a new one. */
function askToken(refused) {
  if (sessionStorage.getItem(TOKEN) !== refused) return Promise.resolve(true);
  asking ??= new Promise((found) => {
    const [dialog, field] = ["login", "token"].map((id) => document.getElementById(id));
    document.getElementById("why").textContent = refused
      ? "The token is not the one of the server."
      : "Whoever started the server has it.";
    field.value = dialog.returnValue = "";
    dialog.addEventListener(
      "close",
      () => {
        if (dialog.returnValue) sessionStorage.setItem(TOKEN, field.value);
        field.value = "";
        asking = null;
        found(Boolean(dialog.returnValue));
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}
