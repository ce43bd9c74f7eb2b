import { Act } from "./Act";

interface Props {
  from: number;
  shown: number;
  total: number;
  what: string;
  onBack?: (() => void) | undefined;
  onOn?: (() => void) | undefined;
}

/** Where in a long list one is. Not there for a list that fits. */
export function Pager({ from, shown, total, what, onBack, onOn }: Props) {
  if (!onBack && !onOn) return null;
  return (
    <nav className="pager" aria-label={`Pages of ${what}`}>
      <span className="numbers">
        {shown ? `${from + 1}–${from + shown}` : "0"} of {total.toLocaleString()}
      </span>
      <Act icon="left" reason={onBack ? null : "This is the first page."} onAct={onBack ?? (() => {})}>
        Previous
      </Act>
      <Act icon="right" reason={onOn ? null : "This is the last page."} onAct={onOn ?? (() => {})}>
        Next
      </Act>
    </nav>
  );
}
