import { useEffect } from "react";
import { askBeforeLeaving } from "../routes";

/** Whoever leaves the page, or closes its tab, with something unsaved is asked first. */
export function useUnsaved(dirty: boolean): void {
  useEffect(() => {
    if (!dirty) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    const stop = askBeforeLeaving();
    return () => {
      window.removeEventListener("beforeunload", ask);
      stop();
    };
  }, [dirty]);
}
