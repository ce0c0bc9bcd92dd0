// How a frontend logs in with Keyturn. The refresh token is in a cookie that no script can read; the access token is kept
// in memory alone, so that a reload asks for a new one.

const page = `${location.origin}/`;
let session = null; // the token response
let cookieOf = null; // the session_id that the browser's cookie named when this page looked

async function call(method, path, headers = {}) {
  const response = await fetch(path, { method, headers });
  const text = await response.text();
  const body = text ? JSON.parse(text) : null;
  if (!response.ok) {
    throw Object.assign(new Error(body.title), { code: body.code });
  }
  return body;
}

// After a load there is the cookie alone, if anything: it gives the CSRF token, and both give new tokens.
async function resume() {
  const { csrf_token, session_id } = await call("GET", "/csrf");
  cookieOf = session_id;
  if (csrf_token !== null) {
    session = await call("POST", "/refresh", { "X-CSRF-Token": csrf_token });
  }
}

// Another tab may have logged somebody else in, or this person out: then the cookie is another session's, or gone.
async function startOverIfReplaced() {
  const { session_id } = await call("GET", "/csrf");
  if (session_id !== cookieOf) {
    location.reload();
  }
}

async function logOut() {
  await call("POST", "/logout", { "X-CSRF-Token": session.csrf_token });
  session = cookieOf = null;
  await showStranger();
}

async function showPerson() {
  const bearer = { Authorization: `Bearer ${session.access_token}` };
  const [me, { identities }] = await Promise.all([call("GET", "/me", bearer), call("GET", "/identities", bearer)]);
  element("email").textContent = me.email;
  element("account").replaceChildren(
    ...row("Subject", me.sub),
    ...row("Address", me.email_verified ? "verified" : "not verified"),
    ...row("Session", me.session_id),
  );
  element("identities").replaceChildren(
    ...identities.map((identity) => made("li", `${identity.provider}: ${identity.email}`)),
  );
  show("person");
}

async function showStranger() {
  const { providers, stand_in } = await call("GET", "/page.json");
  element("providers").replaceChildren(...providers.map(logInLink));
  element("no-provider").hidden = providers.length > 0;
  element("stand-in").hidden = !stand_in;
  show("stranger");
}

// A link, because the whole browser goes to the provider. It comes back to `return_to`, which KEYTURN_RETURN_TO lists.
function logInLink({ name, title }) {
  const link = made("a", `Log in with ${title}`);
  link.className = "button";
  link.href = `/login/${name}?${new URLSearchParams({ return_to: page })}`;
  return link;
}

function showError(code) {
  element("error").textContent = `That did not work: ${code}`;
  element("error").hidden = false;
}

function show(id) {
  for (const section of document.querySelectorAll("section")) {
    section.hidden = section.id !== id;
  }
}

function element(id) {
  return document.getElementById(id);
}

// Text never goes in as HTML: an address or an error code is what somebody else chose.
function made(tag, text) {
  const node = document.createElement(tag);
  node.textContent = text;
  return node;
}

function row(name, value) {
  return [made("dt", name), made("dd", value)];
}

async function start() {
  const code = new URLSearchParams(location.search).get("error");
  if (code) {
    showError(code);
    history.replaceState(null, "", page); // a reload is not another failure
  }
  try {
    await resume();
    await (session ? showPerson() : showStranger());
  } catch (error) {
    if (error.code !== "invalid_grant") {
      showError(error.code ?? error.message);
    }
    await showStranger();
  }
}

element("log-out").addEventListener("click", () => logOut().catch((error) => showError(error.code ?? error.message)));
await start();
document.addEventListener("visibilitychange", () => document.hidden || startOverIfReplaced().catch(() => {}));
