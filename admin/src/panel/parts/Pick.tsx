import type { ReactNode } from "react";
import { Icon } from "./Icon";

interface Props<T extends string> {
  label: string;
  value: T | null;
  /** What it is called when nothing is picked. */
  any: string;
  options: Record<T, readonly [word: string, ...rest: unknown[]]>;
  onPick: (value: T | null) => void;
}

/** One of a few, or any. The browser's own list, because that is the one people know how to use. */
export function Pick<T extends string>({ label, value, any, options, onPick }: Props<T>): ReactNode {
  return (
    <span className={value ? "pick set" : "pick"}>
      <select
        aria-label={label}
        value={value ?? ""}
        onChange={(event) => onPick((event.target.value || null) as T | null)}
      >
        <option value="">{any}</option>
        {(Object.keys(options) as T[]).map((option) => (
          <option key={option} value={option}>
            {options[option][0]}
          </option>
        ))}
      </select>
      <Icon name="below" />
    </span>
  );
}
