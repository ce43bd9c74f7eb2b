// What screen readers hear: changes of states, one sentence a second, and a sum when there are too many.
import { useEffect, useState } from "react";

const EVERY = 1_000;
const TOO_MANY = 3;

let waiting: string[] = [];
let say: ((sentence: string) => void) | null = null;
let timer: number | undefined;

export function announce(sentence: string): void {
  waiting.push(sentence);
  timer ??= window.setTimeout(next, 50);
}

function next(): void {
  timer = undefined;
  if (!waiting.length) return;
  if (waiting.length > TOO_MANY) {
    say?.(`${waiting.length} changes; the last: ${waiting.at(-1)}`);
    waiting = [];
  } else {
    say?.(waiting.shift()!);
  }
  timer = window.setTimeout(next, EVERY);
}

export function Announcer() {
  const [sentence, setSentence] = useState("");
  useEffect(() => {
    say = setSentence;
    return () => {
      say = null;
    };
  }, []);
  return (
    <div className="unseen" aria-live="polite" aria-atomic="true">
      {sentence}
    </div>
  );
}
