// A button that, when it can't be used, stays where it is and says why.
import { useId, type ReactNode } from "react";
import { Icon, type IconName } from "./Icon";

interface Props {
  children: ReactNode;
  icon?: IconName;
  kind?: "primary" | "danger" | "danger-quiet" | "plain" | "quiet";
  /** Why it can't be used now. */
  reason?: string | null | undefined;
  busy?: boolean;
  /** For screen readers, when the words beside it say more than those on it. */
  label?: string;
  submit?: boolean;
  iconOnly?: boolean;
  onAct?: () => void;
}

export function Act({ children, icon, kind = "plain", reason, busy, label, submit, iconOnly, onAct }: Props) {
  const id = useId();
  const off = Boolean(reason) || busy;
  // aria-disabled, not disabled: one can still reach it with the keyboard and hear the reason.
  return (
    <span className="act">
      <button
        type={submit ? "submit" : "button"}
        className={`button ${kind}${iconOnly ? " icon-only" : ""}`}
        aria-disabled={off || undefined}
        aria-describedby={reason ? id : undefined}
        aria-label={label ?? (iconOnly && typeof children === "string" ? children : undefined)}
        title={iconOnly && typeof children === "string" ? children : undefined}
        onClick={(event) => {
          if (off) event.preventDefault();
          else onAct?.();
        }}
      >
        {icon && <Icon name={icon} />}
        {!iconOnly && <span>{children}</span>}
      </button>
      {reason && (
        <span id={id} className="unseen reason">
          {reason}
        </span>
      )}
    </span>
  );
}
