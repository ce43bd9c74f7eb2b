// Notices: what came of something one did, at the edge of the page, where it moves nothing.
import { useSyncExternalStore } from "react";
import { Act } from "./parts/Act";
import { Icon } from "./parts/Icon";

interface Notice {
  id: number;
  tone: "good" | "bad" | "info";
  text: string;
  more?: string[];
}

// Time to read a sentence; what went wrong stays until it is closed.
const READ = 6_000;

let notices: readonly Notice[] = [];
let count = 0;
const listeners = new Set<() => void>();

function become(next: readonly Notice[]): void {
  notices = next;
  for (const listener of listeners) listener();
}

function forget(id: number): void {
  become(notices.filter((notice) => notice.id !== id));
}

/** Show a notice; with the id of an earlier one, in its place. */
export function notice(tone: Notice["tone"], text: string, more: string[] = [], replaced?: number): number {
  const id = replaced ?? ++count;
  become([...notices.filter((other) => other.id !== id), { id, tone, text, more }].slice(-3));
  if (tone === "good") setTimeout(() => forget(id), READ);
  return id;
}

export function Notices() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => notices,
  );
  return (
    <div className="notices" role="region" aria-label="Notices" aria-live="polite">
      {shown.map(({ id, tone, text, more }) => (
        <div key={id} className={`notice ${tone}`}>
          <Icon name={{ good: "check", bad: "octagon", info: "working" }[tone] as "check"} />
          <div>
            <p>{text}</p>
            {more && more.length > 0 && (
              <ul>
                {more.slice(0, 5).map((line) => (
                  <li key={line}>{line}</li>
                ))}
                {more.length > 5 && <li>and {more.length - 5} more</li>}
              </ul>
            )}
          </div>
          <Act kind="quiet" icon="close" iconOnly onAct={() => forget(id)}>
            Close
          </Act>
        </div>
      ))}
    </div>
  );
}
