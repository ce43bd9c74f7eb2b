// Moments in the reader's zone and language: how long ago, and on hover exactly when.
import { useSyncExternalStore } from "react";

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

export function exactly(moment: string | number): string {
  return exact.format(new Date(moment));
}

export function clockTime(moment: string | number): string {
  return clock.format(new Date(moment));
}

export function dayOf(moment: string | number): string {
  return day.format(new Date(moment));
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function span(milliseconds: number): string {
  if (milliseconds < MINUTE) return "a moment";
  if (milliseconds < HOUR) return `${Math.floor(milliseconds / MINUTE)} min`;
  if (milliseconds < 2 * DAY) return `${Math.floor(milliseconds / HOUR)} h`;
  return `${Math.floor(milliseconds / DAY)} days`;
}

/** `for 5 min`, with the moment itself as a title. */
export function Since({ moment, before = "for" }: { moment: string; before?: string }) {
  useMinutes();
  return (
    <time className="since" dateTime={moment} title={`Since ${exactly(moment)}`}>
      {before} {span(Date.now() - Date.parse(moment))}
    </time>
  );
}

export function Moment({ moment }: { moment: string }) {
  useMinutes();
  return (
    <time dateTime={moment}>
      {exactly(moment)} <span className="quiet">({span(Date.now() - Date.parse(moment))} ago)</span>
    </time>
  );
}

// One clock for all of them.
let tick = 0;
const listeners = new Set<() => void>();
setInterval(() => {
  tick += 1;
  for (const listener of listeners) listener();
}, 15_000);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function useMinutes(): void {
  useSyncExternalStore(subscribe, () => tick);
}
