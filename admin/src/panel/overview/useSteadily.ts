import { useEffect, useRef } from "react";

const REST = 1_500;

/**
 * Do something after a number has changed, never twice at once, and with a rest behind it that is ten times as long as
 * it took: what is expensive for the server becomes rare.
 */
export function useSteadily(count: number, act: () => Promise<void>): void {
  const latest = useRef({ count, act });
  latest.current = { count, act };
  const done = useRef(count);
  const busy = useRef(false);
  const timer = useRef<number>(undefined);

  useEffect(() => {
    if (count === done.current || busy.current) return;
    busy.current = true;
    async function go() {
      done.current = latest.current.count;
      const begun = performance.now();
      // A failure is told by the connection's banner; the next change tries again.
      await latest.current.act().catch(() => {});
      timer.current = window.setTimeout(
        () => {
          if (latest.current.count !== done.current) void go();
          else busy.current = false;
        },
        Math.max(REST, 10 * (performance.now() - begun)),
      );
    }
    timer.current = window.setTimeout(go, 300);
  }, [count]);

  useEffect(
    () => () => {
      clearTimeout(timer.current);
      busy.current = false;
    },
    [],
  );
}
