// The browser's own dialog: it keeps the focus inside, closes with Esc and gives the focus back.
import { useEffect, useId, useRef, type ReactNode } from "react";
import { Act } from "./Act";

interface Props {
  title: string;
  wide?: boolean;
  children: ReactNode;
  /** None for what can't be left undone. */
  onClose?: () => void;
  /** Something was typed that Esc would lose: ask first. */
  unsaved?: boolean;
}

export function Dialog({ title, wide, children, onClose, unsaved }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();

  useEffect(() => {
    const element = dialog.current!;
    // Focus goes back where it came from, if that is still there.
    const before = document.activeElement as HTMLElement | null;
    element.showModal();
    element.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => {
      element.close();
      (before?.isConnected ? before : document.getElementById("main"))?.focus();
    };
  }, []);

  function close() {
    if (!unsaved || window.confirm("Close without saving what you typed?")) onClose?.();
  }

  return (
    <dialog
      ref={dialog}
      className={wide ? "wide" : undefined}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onKeyDown={(event) => {
        // Chromium lets a second Esc through without asking.
        if (event.key === "Escape" && event.target instanceof Node && dialog.current?.contains(event.target)) {
          event.preventDefault();
          event.stopPropagation();
          close();
        }
      }}
    >
      <header>
        <h2 id={id}>{title}</h2>
        {onClose && (
          <Act kind="quiet" icon="close" iconOnly onAct={close}>
            Close
          </Act>
        )}
      </header>
      {children}
    </dialog>
  );
}
