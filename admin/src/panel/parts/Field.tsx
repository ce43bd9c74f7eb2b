// A labelled field, what it is for, and what is wrong with it, right where it belongs.
import { useId, type ReactNode } from "react";
import { Icon } from "./Icon";

interface Given {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean | undefined;
}

interface Props {
  label: string;
  hint?: ReactNode;
  error?: string | null | undefined;
  optional?: boolean;
  /** Something to do with what is in the field, beside its label. */
  act?: ReactNode;
  children: (given: Given) => ReactNode;
}

export function Field({ label, hint, error, optional, act, children }: Props) {
  const id = useId();
  const described = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ") || undefined;
  return (
    <div className="field">
      <div className="label">
        <label htmlFor={id}>
          {label}
          {optional && <span className="quiet"> (optional)</span>}
        </label>
        {act}
      </div>
      {children({ id, "aria-describedby": described, "aria-invalid": error ? true : undefined })}
      {error && (
        <p id={`${id}-error`} className="wrong" role="alert">
          <Icon name="octagon" />
          <span>{error}</span>
        </p>
      )}
      {hint && (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      )}
    </div>
  );
}
