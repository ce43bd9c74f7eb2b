// What GraphiQL remembers (tabs, history, sizes), kept apart for each tenant: the rtIds in one's variables mean nothing,
// or something else, in another. Headers are not among it: a token is kept no longer than its browser tab.

export function storageOf(tenantId: string): Storage {
  const mine = `octomesh:${tenantId}:`;
  const keys = () => Object.keys(localStorage).filter((key) => key.startsWith(mine));
  return {
    get length() {
      return keys().length;
    },
    key: (index) => keys()[index]?.slice(mine.length) ?? null,
    getItem: (key) => localStorage.getItem(mine + key),
    setItem: (key, value) => localStorage.setItem(mine + key, value),
    removeItem: (key) => localStorage.removeItem(mine + key),
    clear: () => keys().forEach((key) => localStorage.removeItem(key)),
  };
}
