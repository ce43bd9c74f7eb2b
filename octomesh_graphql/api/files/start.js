// The field of the front page that leads to another tenant. It is no form: the page's policy forbids those.

const field = document.getElementById("tenant");
const told = document.getElementById("told");

function tell(text) {
  told.textContent = text;
  field.setAttribute("aria-invalid", String(Boolean(text)));
}

// Asked first, so that a mistyped id is told here and not as JSON on a white page.
async function whyNot(url) {
  const body = JSON.stringify({ query: "{ __typename }" });
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  if (response.status !== 404) return ""; // whatever else is wrong, the explorer tells
  const answer = await response.json().catch(() => null);
  return answer?.errors?.[0]?.message ?? "There is no such tenant.";
}

async function go() {
  const id = field.value.trim().toLowerCase();
  if (!id) {
    tell("Type the id of a tenant first.");
    return field.focus();
  }
  const url = new URL(`tenants/${encodeURIComponent(id)}/graphql`, location);
  try {
    const reason = await whyNot(url);
    tell(reason);
    if (reason) field.focus();
    else location.assign(url);
  } catch {
    tell("The server does not answer.");
  }
}

document.getElementById("go").addEventListener("click", go);
field.addEventListener("keydown", (event) => event.key === "Enter" && go());
