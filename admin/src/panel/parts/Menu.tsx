// A menu of things to do with one row. Those that can't be done now stay, with the reason beneath.
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import { Icon, type IconName } from "./Icon";

export interface MenuItem {
  word: string;
  icon: IconName;
  danger?: boolean;
  reason?: string | null | undefined;
  onAct: () => void;
}

export function Menu({ label, items }: { label: string; items: MenuItem[] }) {
  const [place, setPlace] = useState<{ top: number; right: number } | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();

  /** Beneath the button, or above it where there is no room. */
  function open() {
    const box = button.current!.getBoundingClientRect();
    const height = 16 + items.reduce((sum, item) => sum + (item.reason ? 58 : 36), 0);
    const below = box.bottom + 4 + height <= window.innerHeight;
    setPlace({
      top: below ? box.bottom + 4 : Math.max(8, box.top - 4 - height),
      right: document.documentElement.clientWidth - box.right,
    });
  }

  function close(refocus = true) {
    setPlace(null);
    if (refocus) button.current?.focus();
  }

  const opened = place !== null;
  useEffect(() => {
    if (!opened) return;
    list.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus({ preventScroll: true });
    const away = (event: Event) => {
      if (!list.current?.contains(event.target as Node)) setPlace(null);
    };
    document.addEventListener("pointerdown", away, true);
    window.addEventListener("scroll", open, true);
    window.addEventListener("resize", open);
    return () => {
      document.removeEventListener("pointerdown", away, true);
      window.removeEventListener("scroll", open, true);
      window.removeEventListener("resize", open);
    };
  }, [opened]);

  function onKeyDown(event: KeyboardEvent) {
    const entries = [...(list.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const at = entries.indexOf(document.activeElement as HTMLElement);
    const to = {
      ArrowDown: (at + 1) % entries.length,
      ArrowUp: (at - 1 + entries.length) % entries.length,
      Home: 0,
      End: entries.length - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      entries[to]?.focus();
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    } else if (event.key === "Tab") {
      close();
    } else if (event.key.length === 1 && /\S/.test(event.key)) {
      entries.find((entry) => entry.textContent?.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    }
  }

  return (
    <>
      <button
        ref={button}
        type="button"
        className="button quiet icon-only"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={opened}
        aria-controls={opened ? id : undefined}
        onClick={() => (opened ? close() : open())}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" && !opened) {
            event.preventDefault();
            open();
          }
        }}
      >
        <Icon name="more" />
      </button>
      {place && (
        <div ref={list} id={id} className="menu" role="menu" aria-label={label} style={place} onKeyDown={onKeyDown}>
          {items.map(({ word, icon, danger, reason, onAct }) => (
            <button
              key={word}
              type="button"
              role="menuitem"
              tabIndex={-1}
              className={danger ? "danger" : undefined}
              aria-disabled={reason ? true : undefined}
              onClick={() => {
                if (reason) return;
                close();
                onAct();
              }}
            >
              <Icon name={icon} />
              <span>
                {word}
                {reason && <small>{reason}</small>}
              </span>
            </button>
          ))}
        </div>
      )}
    </>
  );
}
