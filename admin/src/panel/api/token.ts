// The access token a person pasted. It lives as long as the tab, and goes nowhere but to this server.
const KEY = "octomesh.token";

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

export function keepToken(pasted: string): void {
  const bare = pasted.trim().replace(/^Bearer\s+/i, "");
  if (bare) sessionStorage.setItem(KEY, bare);
  else sessionStorage.removeItem(KEY);
}

export function authorization(): Record<string, string> {
  const kept = token();
  return kept ? { Authorization: `Bearer ${kept}` } : {};
}
