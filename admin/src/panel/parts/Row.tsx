// A row about something that somebody else may delete: it keeps its place, and the focus if that was in it.
import { useLayoutEffect, useRef, type ReactNode, type RefObject } from "react";

interface Props {
  gone: boolean;
  /** What stands there afterwards. */
  farewell: ReactNode;
  className?: string | undefined;
  selected?: boolean;
  children: ReactNode;
}

export function Row({ gone, farewell, className, selected, children }: Props) {
  const row = useRef<HTMLTableRowElement>(null);
  const focused = useRef(false);
  useLayoutEffect(() => {
    if (gone && focused.current) row.current?.focus({ preventScroll: true });
  }, [gone]);
  return (
    <tr
      ref={row}
      tabIndex={gone ? -1 : undefined}
      className={gone ? "gone" : className}
      aria-selected={(!gone && selected) || undefined}
    >
      {gone ? (
        farewell
      ) : (
        <Cells row={row} focused={focused}>
          {children}
        </Cells>
      )}
    </tr>
  );
}

interface CellsProps {
  row: RefObject<HTMLTableRowElement | null>;
  focused: RefObject<boolean>;
  children: ReactNode;
}

/** Notices whether it takes the focus along when it goes: React cleans up while the cells are still there. */
function Cells({ row, focused, children }: CellsProps) {
  useLayoutEffect(
    () => () => {
      focused.current = row.current?.contains(document.activeElement) ?? false;
    },
    [row, focused],
  );
  return children;
}
