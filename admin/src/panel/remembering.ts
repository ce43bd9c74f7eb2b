// The tenants this browser looked at last, so that the start page can offer them.
const KEY = "octomesh.tenants";
const MOST = 6;

export interface Remembered {
  id: string;
  name: string;
}

export function remembered(): Remembered[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept)
      ? kept.filter((each) => typeof each?.id === "string" && typeof each?.name === "string")
      : [];
  } catch {
    return [];
  }
}

export function remember(id: string, name: string): void {
  keep([{ id, name }, ...remembered().filter((other) => other.id !== id)].slice(0, MOST));
}

export function forgetTenant(id: string): void {
  keep(remembered().filter((other) => other.id !== id));
}

function keep(tenants: Remembered[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(tenants));
  } catch {
    // A browser that stores nothing forgets; that is its owner's wish.
  }
}
